"""Takes command lines (a JSON array of arrays of words) from the file named first, calls ipvsadm with each, and prints a row for
each: words, standard output, standard error, status. Runs in a namespace set up as a1_ipvsadm_text's director, without /etc/hosts
names beyond localhost. The lines of the recording are random mutations of those of a1 and a2."""
import json, subprocess, sys
for words in json.load(open(sys.argv[1])):
    r = subprocess.run(['ipvsadm'] + words, stdin=subprocess.DEVNULL, capture_output=True)
    print(json.dumps([words, r.stdout.decode('latin1'), r.stderr.decode('latin1'), r.returncode]), flush=True)
