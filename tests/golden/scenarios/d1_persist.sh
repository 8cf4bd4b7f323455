# Persistence: templates, timers, port 0, fwmark, netmask, IPv6, expire_quiescent_template.
. /job/topo.sh
NRS=3 CLN=6 topo
python3 /job/rsd.py $(for n in 1 2 3; do for p in 80 443 8080; do echo rs$n:tcp:0.0.0.0:$p; echo "rs$n:tcp:[::]:$p"; done; echo rs$n:udp:0.0.0.0:80; done) & 
for i in $(seq 200); do [ -e /tmp/rsd.ready ] && break; usleep 20000; done
x dr sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit'
cat > /tmp/p.py <<'X'
from lab import *
import builtins
def a(dst,port,src='10.0.1.100',sport=0,keep=None): 
    r=ask(dst,port,src,sport,keep); print('   %s:%d -> %s:%d answered by %s'%(src,sport,dst,port,r)); return r
X
L() { printf '$ ipvsadm -Lnc\n'; ii ipvsadm -Lnc | sed 1d | (read h; echo "$h"; sort); }
rs3() { local i; for i in 1 2 3; do q ipvsadm -a "$@" -r 10.0.2.1$i${RP:+:$RP} -m; done; }
sect "per service (PPC): -p 60"
show ipvsadm -A -t 10.0.1.10:80 -s rr -p 60
rs3 -t 10.0.1.10:80
python3 - <<X
exec(open('/tmp/p.py').read())
for i in range(3): a('10.0.1.10',80,'10.0.1.100',40000+i)
for i in range(3): a('10.0.1.10',80,'10.0.1.101',40000+i)
X
L
show ipvsadm -Ln --persistent-conn
show ipvsadm -Lnc --persistent-conn
note "/proc/net/ip_vs_conn"; ii cat /proc/net/ip_vs_conn
sleep 2.1; show ipvsadm -Ln --stats
note "time passes: every 10 s what -Lnc prints of the template"
for i in $(seq 1 22); do sleep 10; printf '%s s: ' $((i*10)); ii ipvsadm -Lnc | grep -e ':0  ' | grep -v TIME_WAIT | sort | tr '\n' ';' ; ii ipvsadm -Lnc | grep -c TIME_WAIT; done
L
show ipvsadm -Ln
note "after the template is gone the next connection is scheduled again"
python3 - <<X
exec(open('/tmp/p.py').read())
for i in range(2): a('10.0.1.10',80,'10.0.1.100',41000+i)
for i in range(2): a('10.0.1.10',80,'10.0.1.101',41000+i)
X
L
note "a new connection refreshes the template's timer"
sleep 30; python3 - <<X
exec(open('/tmp/p.py').read())
a('10.0.1.10',80,'10.0.1.100',41005)
X
L
note "an established connection with traffic (kept open 100 s)"
python3 - <<X
exec(open('/tmp/p.py').read())
k=[]
a('10.0.1.10',80,'10.0.1.102',41006,k)
for t in (1,50,59,61,75,90,118,122):
    pass
t0=0
for t in (1,30,58,62,90,119,121,150,200):
    time.sleep(t-t0); t0=t
    print(t,'s:',' | '.join(sorted(l for l in run(['ipvsadm','-Lnc']).splitlines() if '10.0.1.102' in l)))
k[0].send(b'echo'); time.sleep(0.1)
print('sent data:',' | '.join(sorted(l for l in run(['ipvsadm','-Lnc']).splitlines() if '10.0.1.102' in l)))
k[0].close(); time.sleep(0.1)
for t in (0,59,60,61,119,121,125,180):
    time.sleep(max(0,t-t0)) if False else None
for i in range(14):
    print(i*15,'s after close:',' | '.join(sorted(l for l in run(['ipvsadm','-Lnc']).splitlines() if '10.0.1.102' in l))); time.sleep(15)
X
ii ipvsadm -C
sect "port 0 (PCC): -t VIP:0 -p 60"
show ipvsadm -A -t 10.0.1.10:0 -s rr -p 60
RP= rs3 -t 10.0.1.10:0
show ipvsadm -Ln
python3 - <<X
exec(open('/tmp/p.py').read())
a('10.0.1.10',80,'10.0.1.103',42000); a('10.0.1.10',443,'10.0.1.103',42001); a('10.0.1.10',8080,'10.0.1.103',42002)
a('10.0.1.10',80,'10.0.1.104',42000); a('10.0.1.10',443,'10.0.1.104',42001); a('10.0.1.10',22,'10.0.1.104',42003)
X
L
show ipvsadm -Ln --persistent-conn
note "a port 0 service beside a service of the same VIP with a port"
show ipvsadm -A -t 10.0.1.10:80 -s rr
rs3 -t 10.0.1.10:80
python3 - <<X
exec(open('/tmp/p.py').read())
for i in range(3): a('10.0.1.10',80,'10.0.1.105',42010+i)
for i in range(3): a('10.0.1.10',443,'10.0.1.105',42020+i)
X
L
ii ipvsadm -C
sect "fwmark over 80 and 443 with -p 60"
x dr iptables -t mangle -A PREROUTING -p tcp -d 10.0.1.10 -m multiport --dports 80,443 -j MARK --set-mark 7
show ipvsadm -A -f 7 -s rr -p 60
RP= rs3 -f 7
python3 - <<X
exec(open('/tmp/p.py').read())
a('10.0.1.10',80,'10.0.1.100',43000); a('10.0.1.10',443,'10.0.1.100',43001)
a('10.0.1.10',80,'10.0.1.101',43000); a('10.0.1.10',443,'10.0.1.101',43001)
a('10.0.1.10',8080,'10.0.1.101',43002)
X
L
show ipvsadm -Ln --persistent-conn
show ipvsadm -Lnc --persistent-conn
note "/proc/net/ip_vs_conn"; ii cat /proc/net/ip_vs_conn
ii ipvsadm -C
sect "fwmark without -p"
show ipvsadm -A -f 7 -s rr
RP= rs3 -f 7
python3 - <<X
exec(open('/tmp/p.py').read())
a('10.0.1.10',80,'10.0.1.100',43100); a('10.0.1.10',443,'10.0.1.100',43101); a('10.0.1.10',443,'10.0.1.100',43102)
X
L
x dr iptables -t mangle -F; ii ipvsadm -C
sect "netmask -M 255.255.255.0"
show ipvsadm -A -t 10.0.1.10:8080 -s rr -p 60 -M 255.255.255.0
rs3 -t 10.0.1.10:8080
python3 - <<X
exec(open('/tmp/p.py').read())
for i in range(4): a('10.0.1.10',8080,'10.0.1.%d'%(100+i),44000)
X
L
ii ipvsadm -C
sect "IPv6 -p 60 -M 64, and without -M"
show ipvsadm -A -t '[fd00:1::10]:80' -s rr -p 60 -M 64
for i in 1 2 3; do q ipvsadm -a -t '[fd00:1::10]:80' -r "[fd00:2::1$i]:80" -m; done
show ipvsadm -A -t '[fd00:1::10]:443' -s rr -p 60
for i in 1 2 3; do q ipvsadm -a -t '[fd00:1::10]:443' -r "[fd00:2::1$i]:443" -m; done
python3 - <<X
exec(open('/tmp/p.py').read())
for i in range(3): a('fd00:1::10',80,'fd00:1::%d'%(100+i),45000)
for i in range(3): a('fd00:1::10',443,'fd00:1::%d'%(100+i),45000)
X
L
note "/proc/net/ip_vs_conn"; ii cat /proc/net/ip_vs_conn | grep fd00
ii ipvsadm -C
sect "UDP -p 60"
show ipvsadm -A -u 10.0.1.10:80 -s rr -p 60
rs3 -u 10.0.1.10:80
python3 - <<X
exec(open('/tmp/p.py').read())
for i in range(3): print(udp('10.0.1.10',80,b'x','10.0.1.100',46000+i))
X
L
ii ipvsadm -C
sect "weight 0 on the persistent server; expire_quiescent_template"
show ipvsadm -A -t 10.0.1.10:443 -s rr -p 60
rs3 -t 10.0.1.10:443
for eq in 0 1; do
x dr sh -c "echo $eq > /proc/sys/net/ipv4/vs/expire_quiescent_template"; note "expire_quiescent_template=$eq"
python3 - <<X
exec(open('/tmp/p.py').read())
r=a('10.0.1.10',443,'10.0.1.10$((5+eq))',47000)
n=r[2]
print(sh('ipvsadm -e -t 10.0.1.10:443 -r 10.0.2.1%s:443 -m -w 0; ipvsadm -Ln'%n))
a('10.0.1.10',443,'10.0.1.10$((5+eq))',47001)
a('10.0.1.10',443,'10.0.1.10$((5+eq))',47002)
print(sh('ipvsadm -e -t 10.0.1.10:443 -r 10.0.2.1%s:443 -m -w 1'%n))
X
L
done
sect "the persistent server deleted; expire_nodest_conn 0 and 1"
x dr sh -c "echo 0 > /proc/sys/net/ipv4/vs/expire_quiescent_template"
for en in 0 1; do
x dr sh -c "echo $en > /proc/sys/net/ipv4/vs/expire_nodest_conn"; note "expire_nodest_conn=$en"
python3 - <<X
exec(open('/tmp/p.py').read())
r=a('10.0.1.10',443,'10.0.1.10$((1+en))',48000)
n=r[2]
print(sh('ipvsadm -d -t 10.0.1.10:443 -r 10.0.2.1%s:443'%n),end='')
print(sh('ipvsadm -Lnc | grep 10.0.1.10$((1+en)):'),end='')
a('10.0.1.10',443,'10.0.1.10$((1+en))',48001)
print(sh('ipvsadm -Lnc | grep 10.0.1.10$((1+en)):'),end='')
print(sh('ipvsadm -a -t 10.0.1.10:443 -r 10.0.2.1%s:443 -m'%n),end='')
print(sh('ipvsadm -Ln --persistent-conn'))
X
done
sect "persistence with -x thresholds: the template's server overloaded"
ii ipvsadm -C
show ipvsadm -A -t 10.0.1.10:80 -s rr -p 60
q ipvsadm -a -t 10.0.1.10:80 -r 10.0.2.11 -m -x 2; q ipvsadm -a -t 10.0.1.10:80 -r 10.0.2.12 -m
python3 - <<X
exec(open('/tmp/p.py').read())
k=[]
for i in range(4): a('10.0.1.10',80,'10.0.1.103',49000+i,k)
for i in range(4): a('10.0.1.10',80,'10.0.1.104',49000+i,k)
for i in range(2): a('10.0.1.10',80,'10.0.1.105',49000+i,k)
X
show ipvsadm -Ln --thresholds
L
sect "editing -p off, deleting the service, templates"
show ipvsadm -E -t 10.0.1.10:80 -s rr
L
python3 - <<X
exec(open('/tmp/p.py').read())
for i in range(3): a('10.0.1.10',80,'10.0.1.103',49100+i)
X
show ipvsadm -D -t 10.0.1.10:80
L
kill $RSD 2>/dev/null; true
