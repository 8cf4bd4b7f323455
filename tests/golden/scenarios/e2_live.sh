# Live connections against changes: destination deleted, weight 0, sysctls, counters, stats, rates.
. /job/topo.sh
NRS=2 topo
x dr ip neigh add 10.0.1.200 lladdr 02:00:00:00:01:64 dev eth0
for i in 50 51; do x dr ip neigh add 10.0.2.$i lladdr 02:00:00:00:02:0b dev eth1; done
cat > /job/raw.py <<'X'
from lab import *
C=Wire('cl'); R=Wire('rs1')
DRF='02:00:00:00:01:01'; DRB='02:00:00:00:02:01'; CM='02:00:00:00:01:64'; RM='02:00:00:00:02:0b'
CL='10.0.1.200'; VIP='10.0.1.10'
def lines(port):
    with ns('dr'): L=open('/proc/thread-self/net/ip_vs_conn').read().splitlines()[1:]
    return [l.split() for l in L if int(l.split()[2],16)==port]
def st(port): return ' '.join('%s %s(%ss)'%('.'.join(str(x) for x in bytes.fromhex(f[5])),f[7],f[8]) for f in lines(port)) or '-'
def c(port,flags,vport=80,data=b'',seq=1000,ack=2000,src=None):
    R.drain(); C.drain()
    C.send(DRF,CM,ip(src or CL,VIP,6,tcpseg(src or CL,port,VIP,vport,flags,seq,ack if 'A' in flags else 0,data))); time.sleep(0.003)
def s(port,flags,rs='10.0.2.50',rport=80,data=b'',seq=2000,ack=1001):
    C.drain(); R.drain()
    R.send(DRB,RM,ip(rs,CL,6,tcpseg(rs,rport,CL,port,flags,seq,ack if 'A' in flags else 0,data))); time.sleep(0.003)
def desc(d):
    if d is None: return 'nothing'
    p=d[14:]
    if d[12:14]!=b'\x08\x00': return 'frame '+d[12:14].hex()
    ihl=(p[0]&15)*4; a=socket.inet_ntoa(p[12:16]); b=socket.inet_ntoa(p[16:20])
    if p[9]==6: sp,dp=struct.unpack('!HH',p[ihl:ihl+4]); return 'TCP %s:%d > %s:%d %s'%(a,sp,b,dp,''.join(n for n,v in FL.items() if p[ihl+13]&v))
    if p[9]==17: sp,dp=struct.unpack('!HH',p[ihl:ihl+4]); return 'UDP %s:%d > %s:%d'%(a,sp,b,dp)
    if p[9]==1:
        q=p[ihl+8:]; return 'ICMP %s > %s type %d code %d about %s'%(a,b,p[ihl],p[ihl+1],desc(b'\0'*12+b'\x08\x00'+q) if p[ihl] in (3,11) else '')
    return 'proto %d %s > %s'%(p[9],a,b)
def got(w,t=0.05): return desc(w.recv(lambda d:d[12:14]==b'\x08\x00',t))
def est(p,vport=80):
    c(p,'S',vport); g=got(R); rs=g.split(' > ')[1].split(':')[0]; rp=int(g.split(' > ')[1].split(':')[1].split()[0]); s(p,'SA',rs,rp); c(p,'A',vport); return rs
def sysctl(k,v): sh('echo "%s" > /proc/sys/net/ipv4/vs/%s'%(v,k))
def Ln(): print('\n'.join('     '+l for l in run(['ipvsadm','-Ln']).splitlines()[3:]))
X
two() { ii ipvsadm -C; q ipvsadm -A -t 10.0.1.10:$1 -s rr; q ipvsadm -a -t 10.0.1.10:$1 -r 10.0.2.50:80 -m; q ipvsadm -a -t 10.0.1.10:$1 -r 10.0.2.51:80 -m; }
x dr sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit'
sect "destination deleted under an established connection, expire_nodest_conn=0"
two 81; python3 - <<'X'
exec(open('/job/raw.py').read())
rs=est(5000,81); print('established on',rs,st(5000)); Ln()
sh('ipvsadm -d -t 10.0.1.10:81 -r %s:80'%rs); print('deleted:',st(5000)); Ln()
c(5000,'PA',81,b'hi'); print('client data goes to:',got(R),'; back to the client:',got(C),'; entry',st(5000))
s(5000,'PA',rs); print('server data comes out as:',got(C),'; entry',st(5000))
c(5000,'PA',81,b'hi'); print('client data again:',got(R),st(5000))
sh('ipvsadm -a -t 10.0.1.10:81 -r %s:80 -m'%rs); Ln(); c(5000,'PA',81,b'hi'); print('added again, client data goes to:',got(R),st(5000)); Ln()
X
sect "the same with expire_nodest_conn=1"
two 82; python3 - <<'X'
exec(open('/job/raw.py').read())
sysctl('expire_nodest_conn',1)
rs=est(5001,82); print('established on',rs,st(5001))
sh('ipvsadm -d -t 10.0.1.10:82 -r %s:80'%rs); print('deleted:',st(5001)); time.sleep(0.1); print('0.1 s later:',st(5001)); 
c(5001,'PA',82,b'hi'); print('client data goes to:',got(R),'; back to the client:',got(C),'; entry',st(5001))
c(5001,'PA',82,b'hi'); print('client data goes to:',got(R),'; back to the client:',got(C),'; entry',st(5001))
sysctl('expire_nodest_conn',0)
X
sect "weight 0 under an established connection"
two 83; python3 - <<'X'
exec(open('/job/raw.py').read())
rs=est(5002,83); print('established on',rs)
sh('ipvsadm -e -t 10.0.1.10:83 -r %s:80 -m -w 0'%rs); Ln()
c(5002,'PA',83,b'hi'); print('client data goes to:',got(R))
for i in range(3): c(5010+i,'S',83); print('new connection goes to:',got(R))
print('and with expire_nodest_conn=1, SYN on the same port:'); sysctl('expire_nodest_conn',1)
c(5002,'PA',83,b'hi'); print('client data goes to:',got(R),st(5002))
c(5002,'S',83); print('SYN of the same port goes to:',got(R),st(5002)); sysctl('expire_nodest_conn',0)
X
sect "no destination at all, and a packet of no connection"
two 84; python3 - <<'X'
exec(open('/job/raw.py').read())
c(5100,'A',84); print('ACK without an entry: to server',got(R),'; to client',got(C))
c(5101,'R',84); print('RST without an entry: to server',got(R),'; to client',got(C))
c(5102,'FA',84); print('FIN without an entry: to server',got(R),'; to client',got(C))
for rs in ('50','51'): sh('ipvsadm -e -t 10.0.1.10:84 -r 10.0.2.%s:80 -m -w 0'%rs)
c(5103,'S',84); print('SYN, all weights 0: to client',got(C))
C.send(DRF,CM,ip(CL,VIP,17,udpseg(CL,5104,VIP,84,b'x'))); print('UDP to a TCP service port:',got(C))
sh('ipvsadm -d -t 10.0.1.10:84 -r 10.0.2.50:80; ipvsadm -d -t 10.0.1.10:84 -r 10.0.2.51:80')
c(5105,'S',84); print('SYN, no destinations: to client',got(C))
c(5106,'S',8484); print('SYN to a port without service: to client',got(C))
sh('ipvsadm -A -u 10.0.1.10:84 -s rr'); C.drain()
C.send(DRF,CM,ip(CL,VIP,17,udpseg(CL,5104,VIP,84,b'x'))); print('UDP service without destinations:',got(C))
sh('iptables -t mangle -A PREROUTING -d 10.0.1.10 -p tcp --dport 85 -j MARK --set-mark 85; ipvsadm -A -f 85 -s rr')
c(5107,'S',85); print('fwmark service without destinations: to client',got(C))
s(5108,'SA'); print('a server packet of no connection: client',got(C),'; server',got(R))
sysctl('nat_icmp_send',1); s(5108,'SA'); print('  nat_icmp_send=1: client',got(C),'; server',got(R)); 
sh('ipvsadm -A -t 10.0.1.10:84 -s rr; ipvsadm -a -t 10.0.1.10:84 -r 10.0.2.50:80 -m')
s(5108,'SA'); print('  nat_icmp_send=1 and the server a destination: client',got(C),'; server',got(R)); s(5108,'R'); print('     RST:',got(C),'; server',got(R)); sysctl('nat_icmp_send',0)
s(5108,'SA'); print('  nat_icmp_send=0 and the server a destination: client',got(C),'; server',got(R));
X
sect "conn_reuse_mode: a SYN on the port of an entry in each state"
python3 - <<'X'
exec(open('/job/raw.py').read())
p=6000; v=9000
for mode in (0,1,2,3):
    sysctl('conn_reuse_mode',mode)
    for name,path in (('SYN_RECV',['cS']),('ESTABLISHED',['cS','sSA','cA']),('CLOSE_WAIT',['cS','sSA','cA','cFA']),('FIN_WAIT',['cS','sSA','cA','sFA']),('TIME_WAIT',['cS','sSA','cA','sFA','cFA']),('CLOSE',['cS','sRA'])):
        p+=1; v+=1
        sh('ipvsadm -A -t 10.0.1.10:%d -s rr; ipvsadm -a -t 10.0.1.10:%d -r 10.0.2.50:80 -m; ipvsadm -a -t 10.0.1.10:%d -r 10.0.2.51:80 -m'%(v,v,v))
        for stp in path:
            if stp[0]=='c': c(p,stp[1:],v)
            else: s(p,stp[1:],'10.0.2.51')
        b=st(p); c(p,'S',v,seq=99000); g=got(R); print('mode %d  %-12s %-28s SYN -> %-42s %s'%(mode,name,b,g,st(p)))
        sh('ipvsadm -D -t 10.0.1.10:%d'%v)
sysctl('conn_reuse_mode',1)
X
sect "conn_reuse_mode with DR (FIN_WAIT of one direction)"
python3 - <<'X'
exec(open('/job/raw.py').read())
p=6100; v=9100
for mode in (0,1,2,3):
    sysctl('conn_reuse_mode',mode)
    for name,path in (('ESTABLISHED',['S','A']),('FIN_WAIT',['S','A','FA']),('CLOSE',['S','A','R'])):
        p+=1; v+=1
        sh('ipvsadm -A -t 10.0.1.10:%d -s rr; ipvsadm -a -t 10.0.1.10:%d -r 10.0.2.50:80 -g; ipvsadm -a -t 10.0.1.10:%d -r 10.0.2.51:80 -g'%(v,v,v))
        for stp in path: c(p,stp,v)
        b=st(p); c(p,'S',v,seq=99000); g=got(R); print('mode %d  %-12s %-28s SYN -> %-42s %s'%(mode,name,b,g,st(p)))
        sh('ipvsadm -D -t 10.0.1.10:%d'%v)
sysctl('conn_reuse_mode',1)
X
sect "one-packet scheduling"
ii ipvsadm -C; python3 - <<'X'
exec(open('/job/raw.py').read())
sh('ipvsadm -A -u 10.0.1.10:86 -s rr -o; ipvsadm -a -u 10.0.1.10:86 -r 10.0.2.50:80 -m; ipvsadm -a -u 10.0.1.10:86 -r 10.0.2.51:80 -m')
for i in range(4):
    R.drain(); C.send(DRF,CM,ip(CL,VIP,17,udpseg(CL,7000,VIP,86,b'x'))); time.sleep(0.003); print(got(R), 'entries', st(7000))
R.send(DRB,RM,ip('10.0.2.50',CL,17,udpseg('10.0.2.50',80,CL,7000,b'y'))); print('the answer comes out as',got(C)); Ln()
time.sleep(2.1); print(run(['ipvsadm','-Ln','--stats']))
X
sect "stats lag, rates and their decay"
ii ipvsadm -C; python3 - <<'X'
exec(open('/job/raw.py').read())
sh('ipvsadm -A -u 10.0.1.10:87 -s rr; ipvsadm -a -u 10.0.1.10:87 -r 10.0.2.50:80 -m; ipvsadm -a -u 10.0.1.10:87 -r 10.0.2.51:80 -m')
def stats():
    a=run(['ipvsadm','-Ln','--stats']).splitlines()[3:]; b=run(['ipvsadm','-Ln','--rate']).splitlines()[3:]
    print('   stats',' | '.join(' '.join(l.split()[2:]) for l in a),'   rate',' | '.join(' '.join(l.split()[2:]) for l in b))
t0=time.monotonic(); n=0
for tick in range(80):
    if tick<40:
        for i in range(25): C.send(DRF,CM,ip(CL,VIP,17,udpseg(CL,8000+n%50,VIP,87,b'x'*72))); n+=1
    time.sleep(max(0,t0+(tick+1)*0.25-time.monotonic()))
    if tick%4==3: print('t=%.2f sent %d'%(time.monotonic()-t0,n)); stats()
print(sh('ipvsadm -Ln --stats; ipvsadm -Ln --rate; cat /proc/net/ip_vs_stats; cat /proc/net/ip_vs_stats_percpu'))
print(sh('ipvsadm -Z -u 10.0.1.10:87; ipvsadm -Ln --stats; ipvsadm -Ln --rate; cat /proc/net/ip_vs_stats'))
print(sh('ipvsadm -Z; ipvsadm -Ln --stats; cat /proc/net/ip_vs_stats'))
X
sect "run_estimation=0"
python3 - <<'X'
exec(open('/job/raw.py').read())
sysctl('run_estimation',0)
for i in range(50): C.send(DRF,CM,ip(CL,VIP,17,udpseg(CL,8000+i,VIP,87,b'x'*72)))
time.sleep(3); print(sh('ipvsadm -Ln --stats; ipvsadm -Ln --rate')); sysctl('run_estimation',1); time.sleep(3);  print(sh('ipvsadm -Ln --stats'))
X
sect "/proc and listings with live entries of every kind"
two 88; q ipvsadm -A -u 10.0.1.10:88 -s wlc -p 50; q ipvsadm -a -u 10.0.1.10:88 -r 10.0.2.50:80 -g; q ipvsadm -A -f 77 -s wrr -p 30 -M 255.255.0.0; q ipvsadm -a -f 77 -r 10.0.2.50 -i
python3 - <<'X'
exec(open('/job/raw.py').read())
sh('iptables -t mangle -A PREROUTING -d 10.0.1.10 -p tcp --dport 99 -j MARK --set-mark 77')
est(7100,88); c(7101,'S',88); c(7102,'S',99); C.send(DRF,CM,ip(CL,VIP,17,udpseg(CL,7103,VIP,88,b'x')))
time.sleep(2.2)
for cmd in ('ipvsadm -Ln','ipvsadm -Lnc','ipvsadm -Lc','ipvsadm -Ln --persistent-conn','ipvsadm -Ln --stats','cat /proc/net/ip_vs','cat /proc/net/ip_vs_conn','cat /proc/net/ip_vs_conn_sync','cat /proc/net/ip_vs_stats'):
    print('$',cmd); print(sh(cmd),end='')
X
