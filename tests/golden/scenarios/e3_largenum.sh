# How ipvsadm shortens large numbers in --stats and --rate: real traffic of 90 MB, 60 MB and 1.1 GB.
. /job/topo.sh
OFFLOAD=1 NRS=1 topo
x rs1 python3 -c '
import socket
s=socket.create_server(("0.0.0.0",80))
while True:
    c,_=s.accept(); n=int(c.recv(100)); b=b"x"*1000000
    while n>0: c.sendall(b[:min(n,len(b))]); n-=len(b)
    c.close()' & SRV=$!
sleep 3
q ipvsadm -A -t 10.0.1.10:80 -s rr; q ipvsadm -a -t 10.0.1.10:80 -r 10.0.2.11:80 -m
cat > /tmp/get.py <<'X'
from lab import *
s=tcp('10.0.1.10',80,timeout=60); s.send(sys.argv[1].encode()); b=bytearray(1<<20); n=0
while True:
    k=s.recv_into(b)
    if not k: break
    n+=k
print('got',n)
X
for n in 90000000 60000000 1100000000; do python3 /tmp/get.py $n; sleep 2.2; show ipvsadm -Ln --stats; show ipvsadm -Ln --stats --exact;  show ipvsadm -Ln --rate; show ipvsadm -Ln --rate --exact; done
ii cat /proc/net/ip_vs_stats; kill $SRV; true
