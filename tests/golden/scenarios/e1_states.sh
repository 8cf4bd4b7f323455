# The TCP (and SCTP, UDP) state machine by injected packets: next state and timer for every
# (state, direction, flags); NAT (both directions seen), DR (client's packets only), secure_tcp.
. /job/topo.sh
NRS=2 topo
# a client and real servers that exist only as frames: no kernel answers for them
x dr ip neigh add 10.0.1.200 lladdr 02:00:00:00:01:64 dev eth0
for i in 50 51 52; do x dr ip neigh add 10.0.2.$i lladdr 02:00:00:00:02:0b dev eth1; done
cat > /job/raw.py <<'X'
from lab import *
C=Wire('cl'); R=Wire('rs1')
DRF='02:00:00:00:01:01'; DRB='02:00:00:00:02:01'; CM='02:00:00:00:01:64'; RM='02:00:00:00:02:0b'
CL='10.0.1.200'; VIP='10.0.1.10'
def conns(port):
    with ns('dr'):
        L=open('/proc/thread-self/net/ip_vs_conn').read().splitlines()[1:]
    return [l.split() for l in L if int(l.split()[2],16)==port and l.split()[1]=='%08X'%int.from_bytes(pton(CL),'big')]
def st(port):
    c=conns(port)
    return '-' if not c else ' '.join('%s(%ss)'%(f[7],f[8]) for f in c)
def c(port,flags,vport=80,data=b'',seq=1000,ack=2000):
    C.send(DRF,CM,ip(CL,VIP,6,tcpseg(CL,port,VIP,vport,flags,seq,ack if 'A' in flags else 0,data)))
def s(port,flags,rs='10.0.2.50',rport=80,data=b'',seq=2000,ack=1001):
    R.send(DRB,RM,ip(rs,CL,6,tcpseg(rs,rport,CL,port,flags,seq,ack if 'A' in flags else 0,data)))
def where(timeout=0.1):
    """Real server address the last client packet went to."""
    d=R.recv(lambda p:p[12:14]==b'\x08\x00' and p[26:30]==pton(CL),timeout)
    return socket.inet_ntoa(d[30:34]) if d else None
def settle(): time.sleep(0.003)
X
cat > /tmp/bfs.py <<'X'
exec(open('/job/raw.py').read())
port=[10000]
def bfs(title,dirs,flags=('S','SA','A','PA','F','FA','R','RA','none')):
    print('=== '+title)
    paths={}; todo=[[]]; seen={'-'}
    rows=[]
    while todo:
        path=todo.pop(0)
        for d in dirs:
            for f in flags:
                if not path and d=='s': continue
                port[0]+=1; p=port[0]
                C.drain(); R.drain()
                for dd,ff in path: (c if dd=='c' else s)(p,ff); settle()
                before=st(p).split('(')[0] if path else '-'
                (c if d=='c' else s)(p,'' if f=='none' else f); settle()
                after=st(p)
                rows.append((before,d,f,after))
                a=after.split('(')[0]
                if a not in seen:
                    seen.add(a); todo.append(path+[(d,'' if f=='none' else f)])
                    paths[a]=path+[(d,f)]
    print('# how each state was reached: c = client to VIP, s = real server to client')
    for k,v in paths.items(): print('  %-12s %s'%(k,' '.join(x+':'+y for x,y in v)))
    states=[]
    for b,*_ in rows:
        if b not in states: states.append(b)
    for b in states:
        for d in dirs:
            r=[(f,a) for bb,dd,f,a in rows if bb==b and dd==d]
            if r: print('%-12s %s  %s'%(b,d,'  '.join('%s->%s'%x for x in r)))
X
sect "TCP, NAT"
q ipvsadm -A -t 10.0.1.10:80 -s rr; q ipvsadm -a -t 10.0.1.10:80 -r 10.0.2.50:80 -m
python3 - <<'X'
exec(open('/tmp/bfs.py').read())
bfs('NAT, default','cs')
sh('echo 1 > /proc/sys/net/ipv4/vs/sloppy_tcp')
bfs('NAT, sloppy_tcp=1: first packets','c') if False else None
print('=== first packet of a connection with sloppy_tcp=1')
for f in ('S','SA','A','PA','F','FA','R','RA',''):
    port[0]+=1; c(port[0],f); settle(); print('  %-4s -> %s'%(f or 'none',st(port[0])))
sh('echo 0 > /proc/sys/net/ipv4/vs/sloppy_tcp')
print('=== first packet of a connection with sloppy_tcp=0')
for f in ('S','SA','A','PA','F','FA','R','RA',''):
    port[0]+=1; c(port[0],f); settle(); print('  %-4s -> %s'%(f or 'none',st(port[0])))
sh('echo 3 > /proc/sys/net/ipv4/vs/secure_tcp')
bfs('NAT, secure_tcp=3','cs')
sh('echo 0 > /proc/sys/net/ipv4/vs/secure_tcp')
X
sect "TCP, DR"
ii ipvsadm -C; q ipvsadm -A -t 10.0.1.10:80 -s rr; q ipvsadm -a -t 10.0.1.10:80 -r 10.0.2.50:80 -g
python3 - <<'X'
exec(open('/tmp/bfs.py').read()); port=[20000]
bfs('DR, default (client packets only)','c')
sh('echo 3 > /proc/sys/net/ipv4/vs/secure_tcp')
bfs('DR, secure_tcp=3','c')
sh('echo 0 > /proc/sys/net/ipv4/vs/secure_tcp')
X
sect "active and inactive counters by state"
ii ipvsadm -C; q ipvsadm -A -t 10.0.1.10:81 -s rr; q ipvsadm -a -t 10.0.1.10:81 -r 10.0.2.52:80 -m
python3 - <<'X'
exec(open('/job/raw.py').read())
_c,_s=c,s
def c(p,f): _c(p,f,81)
def s(p,f): _s(p,f,'10.0.2.52')
def cnt(): return run(['ipvsadm','-Ln','-t','10.0.1.10:81']).splitlines()[3].split()[-2:]
p=30000
for d,f in (('c','S'),('s','SA'),('c','A'),('c','PA'),('s','A'),('s','FA'),('c','A'),('c','FA'),('s','A')):
    (c if d=='c' else s)(p,f); settle(); print('%s:%-2s  %-22s active/inactive %s  | %s'%(d,f,st(p),'/'.join(cnt()),[l for l in run(['ipvsadm','-Lnc']).splitlines() if ':30000' in l][0]))
p=30001
for d,f in (('c','S'),('s','SA'),('c','A'),('c','FA'),('s','A'),('s','FA'),('c','A')):
    (c if d=='c' else s)(p,f); settle(); print('%s:%-2s  %-22s active/inactive %s'%(d,f,st(p),'/'.join(cnt())))
p=30002
for d,f in (('c','S'),('s','RA')):
    (c if d=='c' else s)(p,f); settle(); print('%s:%-2s  %-22s active/inactive %s'%(d,f,st(p),'/'.join(cnt())))
p=30003
for d,f in (('c','S'),('s','SA'),('c','A'),('c','R')):
    (c if d=='c' else s)(p,f); settle(); print('%s:%-2s  %-22s active/inactive %s'%(d,f,st(p),'/'.join(cnt())))
print('until every entry is gone:')
for t in range(0,140,5):
    print('%3d s'%t, 'active/inactive','/'.join(cnt()), ' '.join('%d:%s'%(q,st(q)) for q in (30000,30001,30002,30003))); time.sleep(5)
X
sect "timeouts changed by --set"
q ipvsadm -A -t 10.0.1.10:80 -s rr; q ipvsadm -a -t 10.0.1.10:80 -r 10.0.2.50:80 -m
python3 - <<'X'
exec(open('/job/raw.py').read())
p=31000
for d,f in (('c','S'),('s','SA'),('c','A')): (c if d=='c' else s)(p,f); settle()
print(st(p)); print(sh('ipvsadm --set 100 20 30; ipvsadm -L --timeout'),end=''); print('unchanged until a packet:',st(p)); c(p,'A'); settle(); print('after a packet:',st(p))
c(p,'FA'); settle(); print('client FIN:',st(p)); s(p,'FA'); settle(); print('server FIN:',st(p))
sh('ipvsadm --set 900 120 300')
X
sect "UDP"
ii ipvsadm -C; q ipvsadm -A -u 10.0.1.10:80 -s rr; q ipvsadm -a -u 10.0.1.10:80 -r 10.0.2.50:80 -m; q ipvsadm -a -u 10.0.1.10:80 -r 10.0.2.51:80 -m
python3 - <<'X'
exec(open('/job/raw.py').read())
def u(p,data=b'x'): C.send(DRF,CM,ip(CL,VIP,17,udpseg(CL,p,VIP,80,data)))
def us(p,rs='10.0.2.51'): R.send(DRB,RM,ip(rs,CL,17,udpseg(rs,80,CL,p,b'y')))
def cnt(): return [l.split()[-2:] for l in run(['ipvsadm','-Ln']).splitlines()[4:]]
u(32000); settle(); print(st(32000),where(),cnt()); time.sleep(10); print('10 s later',st(32000)); us(32000); settle(); print('answer refreshes',st(32000)); time.sleep(10); u(32000); settle(); print('again from the client',st(32000),where(),cnt())
time.sleep(299); print('299 s later',st(32000)); time.sleep(2); print('301 s later',st(32000),cnt())
X
sect "SCTP, NAT"
ii ipvsadm -C; q ipvsadm -A --sctp-service 10.0.1.10:80 -s rr; q ipvsadm -a --sctp-service 10.0.1.10:80 -r 10.0.2.50:80 -m
python3 - <<'X'
exec(open('/tmp/bfs.py').read())
T=[]
for i in range(256):
    k=i
    for _ in range(8): k=(k>>1)^0x82f63b78 if k&1 else k>>1
    T.append(k)
def crc(b):
    k=0xffffffff
    for x in b: k=(k>>8)^T[(k^x)&255]
    return k^0xffffffff
types={'DATA':0,'INIT':1,'INITACK':2,'ABORT':6,'SHUTDOWN':7,'SHUTACK':8,'ERROR':9,'COOKECHO':10,'COOKACK':11,'SHUTCOMP':14,'HBEAT':4}
def seg(sp,dp,f):
    b=struct.pack('!HHII',sp,dp,1,0)+struct.pack('!BBH',types[f],0,20)+b'\0'*16
    return b[:8]+struct.pack('<I',crc(b))+b[12:]
def c(p,f): C.send(DRF,CM,ip(CL,VIP,132,seg(p,80,f)))
def s(p,f): R.send(DRB,RM,ip('10.0.2.50',CL,132,seg(80,p,f)))
port=[40000]
bfs('SCTP NAT','cs',tuple(types))
X
