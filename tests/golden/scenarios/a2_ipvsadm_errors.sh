# Wrong invocations of ipvsadm: exact text and status.
. /job/topo.sh
NRS=1 topo
S="show ipvsadm"
q ipvsadm -A -t 10.0.1.10:80 -s rr
q ipvsadm -a -t 10.0.1.10:80 -r 10.0.2.11 -m
q ipvsadm -A -f 1 -s rr
sect no such thing
$S -E -t 10.0.1.10:81 -s rr
$S -D -t 10.0.1.10:81
$S -D -u 10.0.1.10:80
$S -D -f 99
$S -a -t 10.0.1.10:81 -r 10.0.2.11 -m
$S -e -t 10.0.1.10:81 -r 10.0.2.11 -m
$S -d -t 10.0.1.10:81 -r 10.0.2.11
$S -d -t 10.0.1.10:80 -r 10.0.2.12
$S -e -t 10.0.1.10:80 -r 10.0.2.12 -m
$S -L -n -t 10.0.1.10:81
$S -Z -t 10.0.1.10:81
sect duplicates
$S -A -t 10.0.1.10:80 -s rr
$S -A -t 10.0.1.10:80 -s wlc
$S -A -f 1 -s rr
$S -a -t 10.0.1.10:80 -r 10.0.2.11 -m
$S -a -t 10.0.1.10:80 -r 10.0.2.11:80 -g
sect unknown scheduler, weights, thresholds
$S -A -t 10.0.1.10:82 -s xx
$S -A -t 10.0.1.10:82 -s averyveryverylongschedulername
$S -A -t 10.0.1.10:82 -s ''
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -w -1
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -w=-1
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -w x
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -w 2147483648
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -w 1x
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -w
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -x x
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -x 2147483648
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -x 65536
$S -d -t 10.0.1.10:80 -r 10.0.2.12
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -y 65536
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -x 10 -y 20
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -x 10 -y 10
$S -d -t 10.0.1.10:80 -r 10.0.2.12
sect persistence
$S -A -t 10.0.1.10:83 -s rr -p 0
$S -A -t 10.0.1.10:83 -s rr -p -1
$S -A -t 10.0.1.10:83 -s rr -p x
$S -A -t 10.0.1.10:83 -s rr -p 2678400
$S -Ln -t 10.0.1.10:83
$S -D -t 10.0.1.10:83
$S -A -t 10.0.1.10:83 -s rr -p 2678401
$S -A -t 10.0.1.10:83 -s rr -M 255.255.255.0
$S -D -t 10.0.1.10:83
$S -A -t 10.0.1.10:83 -s rr -p 60 -M 24
$S -D -t 10.0.1.10:83
$S -A -t 10.0.1.10:83 -s rr -p 60 -M 0.0.0.0
$S -A -t 10.0.1.10:83 -s rr -p 60 -M 255.0.255.0
$S -Ln -t 10.0.1.10:83
$S -D -t 10.0.1.10:83
$S -A -t 10.0.1.10:83 -s rr -p 60 -M 300.0.0.0
$S -A -t 10.0.1.10:0 -s rr
$S -A -t 10.0.1.10 -s rr
$S -A -t 10.0.1.10:83 -s rr --pe sip
$S -A -t 10.0.1.10:83 -s rr -p 60 --pe sip
$S -A -u 10.0.1.10:83 -s rr --pe sip
$S -A -u 10.0.1.10:84 -s rr -p 60 --pe nope
sect addresses and ports
$S -A -t 10.0.1.300:80 -s rr
$S -A -t 10.0.1:80 -s rr
$S -Ln -t 10.0.0.1:80
$S -D -t 10.0.0.1:80
$S -A -t nonesuchhost:80 -s rr
$S -A -t localhost:80 -s rr
$S -Ln
$S -D -t localhost:80
$S -A -t 10.0.1.10:65536 -s rr
$S -A -t 10.0.1.10:99999999999 -s rr
$S -A -t 10.0.1.10:-1 -s rr
$S -A -t 10.0.1.10:nonesuchservice -s rr
$S -A -t 10.0.1.10: -s rr
$S -A -t :80 -s rr
$S -A -t '' -s rr
$S -A -t '[fd00:1::10' -s rr
$S -A -t 'fd00:1::10]:80' -s rr
$S -A -t '[fd00:1::10]80' -s rr
$S -A -t '[10.0.1.10]:80' -s rr
$S -A -t 'fe80::1:80' -s rr -p
$S -A -t '[fe80::1]:80' -s rr
$S -A -t '[fe80::1%eth0]:80' -s rr
$S -A -t 0.0.0.0:80 -s rr
$S -A -t 255.255.255.255:80 -s rr
$S -A -t 224.0.0.1:80 -s rr
$S -Ln
$S -a -t 10.0.1.10:80 -r 224.0.0.1 -m
$S -a -t 10.0.1.10:80 -r 0.0.0.0 -m
$S -a -t 10.0.1.10:80 -r 255.255.255.255 -m
$S -a -t 10.0.1.10:80 -r 10.0.2.255 -m
$S -a -t 10.0.1.10:80 -r 10.0.1.10:80 -m
$S -a -t 10.0.1.10:80 -r 203.0.113.5:80 -m
$S -a -t 10.0.1.10:80 -r 10.0.2.11:0 -m
$S -a -t 10.0.1.10:80 -r 10.0.2.11:70000 -m
$S -a -t 10.0.1.10:80 -r bad.host -m
$S -a -t 10.0.1.10:80 -r '' -m
$S -a -t 10.0.1.10:80 -r
$S -a -t 10.0.1.10:80 -m
$S -A -t '[ff02::1]:80' -s rr
$S -A -t '[fd00:1::10]:80' -s rr
$S -a -t '[fd00:1::10]:80' -r '[ff02::1]:80' -m
$S -a -t '[fd00:1::10]:80' -r '[fe80::5]:80' -m
$S -a -t '[fd00:1::10]:80' -r '[::]:80' -m
$S -a -t '[fd00:1::10]:80' -r '[fd99::1]:80' -m
$S -a -t '[fd00:1::10]:80' -r '[fd00:1::10]:80' -m
$S -Ln
$S -A -f 0 -s rr
$S -A -f -1 -s rr
$S -A -f x -s rr
$S -A -f 4294967296 -s rr
$S -A -f 0x10 -s rr
$S -A -f 1 -6 -s rr
$S -A -t 10.0.1.10:85 -6 -s rr
$S -a -f 1 -r 'fd00:2::11' -m
$S -a -f 1 -6 -r '10.0.2.11' -m
sect option combinations
$S -A
$S -A -s rr
$S -A -t 10.0.1.10:90 -r 10.0.2.11
$S -A -t 10.0.1.10:90 -w 1
$S -A -t 10.0.1.10:90 -m
$S -A -t 10.0.1.10:90 -u 10.0.1.10:91
$S -A -t 10.0.1.10:90 -t 10.0.1.10:91
$S -A -D -t 10.0.1.10:90
$S -A -t 10.0.1.10:90 -n
$S -A -t 10.0.1.10:90 -c
$S -D -t 10.0.1.10:80 -s rr
$S -D -t 10.0.1.10:80 -p 6
$S -D
$S -D -t 10.0.1.10:80 -r 10.0.2.11
$S -a -t 10.0.1.10:80
$S -a -r 10.0.2.11
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -s rr
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -g -m
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -g -i
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -m -m
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -p 60
$S -d -t 10.0.1.10:80 -r 10.0.2.11 -w 1
$S -d -t 10.0.1.10:80 -r 10.0.2.11 -m
$S -d -t 10.0.1.10:80
$S -E -t 10.0.1.10:80
$S -Ln -t 10.0.1.10:80
$S -C -t 10.0.1.10:80
$S -C -n
$S -L -r 10.0.2.11
$S -L -s rr
$S -L -n -c --stats
$S -L -n --stats --rate
$S -L -n --timeout
$S -L --timeout --daemon
$S -L -c --timeout
$S -L -n --thresholds --persistent-conn
$S -L -n --stats --thresholds
$S -L -n -c --sort
$S -L -n --exact
$S -L -n --sort --nosort
$S -L -n -c -t 10.0.1.10:80
$S -L -n -c --persistent-conn
$S -L -n -c --exact
$S -S -t 10.0.1.10:80
$S -S -c
$S -R -n
$S -Z -n
$S -Z -r 10.0.2.11
$S -6
$S -n
$S -c
$S -t 10.0.1.10:80
$S -h -A
$S --nosuchoption
$S -A -t 10.0.1.10:90 extra
$S extra
$S -L extra
$S -l -n
$S --list --numeric
$S --add-service --tcp-service 10.0.1.10:95 --scheduler rr
$S --add-server --tcp-service 10.0.1.10:95 --real-server 10.0.2.11 --masquerading --weight 3
$S --edit-server --tcp-service 10.0.1.10:95 --real-server 10.0.2.11 --ipip --weight 4
$S --edit-server --tcp-service 10.0.1.10:95 --real-server 10.0.2.11 --gatewaying
$S --list --numeric --tcp-service 10.0.1.10:95
$S --delete-server --tcp-service 10.0.1.10:95 --real-server 10.0.2.11
$S --delete-service --tcp-service 10.0.1.10:95
$S --zero
$S --save --numeric
$S --clear
$S -a -t 10.0.1.10:80 -r 10.0.2.12 --tun-type gue --tun-port 1
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -i --tun-type gue --tun-port 0
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -i --tun-type gue --tun-port 65536
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -i --tun-port 6080
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -i --tun-csum
$S -a -t 10.0.1.10:80 -r 10.0.2.12 -i --tun-type gre --tun-csum --tun-nocsum
sect limits of ipvsadm and the kernel without privilege
printf '$ ipvsadm -Ln as nobody\n'; x dr python3 -c '
import os,subprocess
os.setgid(65534);os.setuid(65534)
for a in (["-Ln"],["-A","-t","10.0.1.10:80"],["-C"]):
    r=subprocess.run(["/usr/sbin/ipvsadm"]+a,capture_output=True,text=True); print(a,r.returncode,repr(r.stdout),repr(r.stderr))'
