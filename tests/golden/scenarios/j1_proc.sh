# /proc/net/ip_vs, ip_vs_conn, ip_vs_stats and ip_vs_stats_percpu: services of every kind, before and under traffic, zeroed
# and deleted. Two CPUs.
. /job/topo.sh
topo
modprobe ip_vs_pe_sip; modprobe ip_vs
files() { for file in ip_vs ip_vs_conn ip_vs_stats ip_vs_stats_percpu; do show cat /proc/net/$file; done; }
sect "nothing"; files
sect "configuration"
while read -r line; do show ipvsadm $line; done <<'X'
-A -t 10.0.1.10:80 -s rr
-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m
-a -t 10.0.1.10:80 -r 10.0.2.12:8080 -m -w 65535 -x 10 -y 5
-A -t 10.0.1.10:81 -s wlc -p 50
-a -t 10.0.1.10:81 -r 10.0.2.11:81 -m
-A -t 10.0.1.10:82 -s sh -b sh-port
-a -t 10.0.1.10:82 -r 10.0.2.11:82 -g -w 0
-A -u 10.0.1.10:53 -s wrr -o
-a -u 10.0.1.10:53 -r 10.0.2.11:53 -m
-A -u 10.0.1.10:54 -s lc -p -M 255.255.255.0
-a -u 10.0.1.10:54 -r 10.0.2.12:54 -m -w 3
-A -u 10.0.1.10:55 -s lc -o -p 77
-A -u 10.0.1.10:5060 -s lc -p 60 --pe sip
-a -u 10.0.1.10:5060 -r 10.0.2.12:5060 -m -w 3
-A --sctp-service 10.0.1.10:132 -s rr
-a --sctp-service 10.0.1.10:132 -r 10.0.2.12:132 -m
-A -t [fd00:1::10]:80 -s wlc -p 90 -M 64
-a -t [fd00:1::10]:80 -r [fd00:2::11]:80 -m
-A -t [fd00:1::10]:81 -s fo
-a -t [fd00:1::10]:81 -r [fd00:2::12]:81 -m
-A -u [fd00:1::10]:53 -s rr -o
-A -f 7 -s rr -p 100
-a -f 7 -r 10.0.2.11:0 -m
-A -f 9 -s rr -o
-A -f 4294967295 -s wlc
-a -f 4294967295 -r 10.0.2.11:0 -i
-A -f 8 -6 -s wlc -p 30 -M 128 -b flag-1
-a -f 8 -6 -r fd00:2::11 -g
-A -t 10.0.1.11:90 -s mh -b mh-fallback,mh-port
-a -t 10.0.1.11:90 -r 127.0.0.1:90 -m
-a -t 10.0.1.11:90 -r [fd00:2::13]:90 -i
X
sect "before traffic"; files
x dr iptables -t mangle -A PREROUTING -p tcp -d 10.0.1.10 --dport 443 -j MARK --set-mark 7
cat > /tmp/traffic.py <<'P'
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None)
def inside(namespace, act):
    me = os.open('/proc/self/ns/net', os.O_RDONLY)
    libc.setns(os.open('/run/netns/' + namespace, os.O_RDONLY), 0)
    try: return act()
    finally: libc.setns(me, 0)
kept = []
def serve(namespace, family, port, kind=socket.SOCK_STREAM):
    def act():
        s = socket.socket(family, kind)
        if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(('', port))
        if kind == socket.SOCK_STREAM: s.listen(9)
        kept.append(s)
    inside(namespace, act)
def tcp(address, port, data=b''):
    def act():
        s = socket.create_connection((address, port), timeout=5)
        s.send(data)
        kept.append(s)
    inside('cl', act)
def udp(address, port, data):
    def act():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(data, (address, port))
        kept.append(s)
    inside('cl', act)
V4, V6, UDP = socket.AF_INET, socket.AF_INET6, socket.SOCK_DGRAM
for port in (80, 81, 443): serve('rs1', V4, port)
serve('rs2', V4, 8080); serve('rs1', V6, 80); serve('rs2', V6, 81)
serve('rs1', V4, 53, UDP); serve('rs2', V4, 54, UDP); serve('rs2', V4, 5060, UDP)
for _ in range(3): tcp('10.0.1.10', 80, b'x' * 1000)
tcp('10.0.1.10', 81); tcp('10.0.1.10', 443); tcp('fd00:1::10', 80); tcp('fd00:1::10', 81)
udp('10.0.1.10', 53, b'a' * 20); udp('10.0.1.10', 54, b'b' * 30)
udp('10.0.1.10', 5060, b'OPTIONS sip:x SIP/2.0\r\nCall-ID: 12345@host.example\r\nCSeq: 1 OPTIONS\r\n\r\n')
time.sleep(5.5)
print('ready', flush=True)
sys.stdin.read()
P
mkfifo /tmp/hold; python3 /tmp/traffic.py < /tmp/hold > /tmp/traffic.out 2>&1 &
exec 9>/tmp/hold
for i in $(seq 300); do grep -q ready /tmp/traffic.out && break; usleep 100000; done
grep -v ready /tmp/traffic.out
sect "under traffic"; files; show ipvsadm -Lnc --persistent-conn; show ipvsadm -Ln --stats --exact
sect "one service zeroed"; show ipvsadm -Z -t 10.0.1.10:80
show cat /proc/net/ip_vs_stats; show cat /proc/net/ip_vs_stats_percpu; show ipvsadm -Ln --stats --exact
sect "a service deleted"; show ipvsadm -D -t 10.0.1.10:80; show cat /proc/net/ip_vs_stats
sect "all zeroed"; show ipvsadm -Z; show cat /proc/net/ip_vs_stats; show cat /proc/net/ip_vs_stats_percpu
sect "cleared"; show ipvsadm -C; files
exec 9>&-
