# NAT, DR, TUN (ipip, gue, gre) forwarding of TCP and UDP over IPv4 and IPv6, captured at the client's,
# the director's and the real server's interfaces.
. /job/topo.sh
GW=dr NRS=1 CLN=2 topo
x rs1 ip route add 10.0.1.0/24 via 10.0.2.1; x rs1 ip -6 route add fd00:1::/64 via fd00:2::1
NRS=1 python3 /job/rsd.py rs1:tcp:0.0.0.0:80:push rs1:udp:0.0.0.0:80 'rs1:tcp:[::]:80:push' 'rs1:udp:[::]:80' rs1:tcp:0.0.0.0:8080:push rs1:udp:0.0.0.0:8080 & 
for i in $(seq 200); do [ -e /tmp/rsd.ready ] && break; usleep 20000; done
# warm the neighbour tables so that captures hold no ARP
warm() { x cl ping -c1 -W1 10.0.1.1 >/dev/null; x cl ping -c1 -W1 10.0.1.254 >/dev/null; x dr ping -c1 -W1 10.0.2.11 >/dev/null; x rt ping -c1 -W1 10.0.2.11 >/dev/null; x rt ping -c1 -W1 10.0.1.100 >/dev/null
 x cl ping -c1 -W1 10.0.1.10 >/dev/null; x cl ping -c1 -W1 fd00:1::10 >/dev/null; x dr ping -c1 -W1 fd00:2::11 >/dev/null; x rt ping -c1 -W1 fd00:2::11 >/dev/null; x rt ping -c1 -W1 fd00:1::100 >/dev/null; x rs1 ping -c1 -W1 10.0.2.1 >/dev/null;  x rs1 ping -c1 -W1 10.0.2.254 >/dev/null; x rs1 ping -c1 -W1 fd00:2::fe >/dev/null; }
warm
one() { # one TITLE SVCARGS... -- DESTARGS... -- TCP|UDP VIP [caps]
  local title=$1; shift; local svc=() dst=()
  while [ "$1" != -- ]; do svc+=("$1"); shift; done; shift
  while [ "$1" != -- ]; do dst+=("$1"); shift; done; shift
  local pr=$1 vip=$2 src=10.0.1.100; [[ $vip == *:* ]] && src=fd00:1::100
  SP=$((${SP:-40000}+1))
  sect "$title"
  ii ipvsadm -C; show ipvsadm -A "${svc[@]}" -s rr; show ipvsadm -a "${svc[@]}" "${dst[@]}"
  local f='not arp and not icmp6 and not ether multicast'
  PCAPPFX=$(echo "$title" | tr -c 'A-Za-z0-9\n' _)_
  cap cl cl eth0 $f; cap dr0 dr eth0 $f; cap dr1 dr eth1 $f; cap rs1 rs1 eth0 $f
  python3 - <<X
from lab import *
p=80
if '$pr'=='TCP':
    try:
        s=tcp('$vip',p,'$src',$SP); d=s.recv(100); time.sleep(0.05); s.close()
    except OSError as e: d=repr(e)
else: d=udp('$vip',p,b'hello','$src',$SP)
print('answer',d)
X
  capstop
  capshow cl "client eth0"; capshow dr0 "director eth0"; capshow dr1 "director eth1"; capshow rs1 "rs1 eth0"
  sleep 2.2; printf "$ ipvsadm -Lnc (this connection)\n"; ii ipvsadm -Lnc | grep -e pro -e ":$SP "; show ipvsadm -Ln --stats
}
one "NAT TCP IPv4 same port" -t 10.0.1.10:80 -- -r 10.0.2.11:80 -m -- TCP 10.0.1.10
one "NAT TCP IPv4 other port" -t 10.0.1.10:80 -- -r 10.0.2.11:8080 -m -- TCP 10.0.1.10
one "NAT UDP IPv4 other port" -u 10.0.1.10:80 -- -r 10.0.2.11:8080 -m -- UDP 10.0.1.10
one "NAT TCP IPv6" -t '[fd00:1::10]:80' -- -r '[fd00:2::11]:80' -m -- TCP fd00:1::10
one "NAT UDP IPv6" -u '[fd00:1::10]:80' -- -r '[fd00:2::11]:80' -m -- UDP fd00:1::10
# direct routing: replies go by the router
x rs1 ip route replace 10.0.1.0/24 via 10.0.2.254; x rs1 ip -6 route replace fd00:1::/64 via fd00:2::fe
NRS=1 vip_on_rs
one "DR TCP IPv4" -t 10.0.1.10:80 -- -r 10.0.2.11:80 -g -- TCP 10.0.1.10
one "DR UDP IPv4" -u 10.0.1.10:80 -- -r 10.0.2.11:80 -g -- UDP 10.0.1.10
one "DR TCP IPv6" -t '[fd00:1::10]:80' -- -r '[fd00:2::11]:80' -g -- TCP fd00:1::10
one "DR UDP IPv6" -u '[fd00:1::10]:80' -- -r '[fd00:2::11]:80' -g -- UDP fd00:1::10
# tunnels
modprobe ipip; modprobe ip6_tunnel; modprobe sit; modprobe fou; modprobe fou6; modprobe ip_gre; modprobe ip6_gre
x rs1 ip link set tunl0 up; x rs1 ip link set ip6tnl0 up; x rs1 ip link set sit0 up
x rs1 sh -c 'for i in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $i; done'
one "TUN ipip TCP IPv4" -t 10.0.1.10:80 -- -r 10.0.2.11:80 -i -- TCP 10.0.1.10
one "TUN ipip UDP IPv4" -u 10.0.1.10:80 -- -r 10.0.2.11:80 -i -- UDP 10.0.1.10
one "TUN ip6ip6 TCP IPv6" -t '[fd00:1::10]:80' -- -r '[fd00:2::11]:80' -i -- TCP fd00:1::10
x rs1 ip -6 tunnel add t46 mode ipip6 local fd00:2::11 remote fd00:2::1 2>&1; x rs1 ip link set t46 up
one "TUN IPv4 in IPv6 TCP" -t 10.0.1.10:80 -- -r '[fd00:2::11]:80' -i -- TCP 10.0.1.10
x rs1 ip tunnel add t64 mode sit local 10.0.2.11 remote 10.0.2.1 2>&1; x rs1 ip link set t64 up
one "TUN IPv6 in IPv4 TCP" -t '[fd00:1::10]:80' -- -r '10.0.2.11:80' -i -- TCP fd00:1::10
x rs1 ip fou add port 6080 gue 2>&1
x rs1 ip link add gue1 type ipip remote 10.0.2.1 local 10.0.2.11 encap gue encap-sport auto encap-dport 6080 2>&1; x rs1 ip link set gue1 up
one "TUN gue TCP IPv4 nocsum" -t 10.0.1.10:80 -- -r 10.0.2.11:80 -i --tun-type gue --tun-port 6080 -- TCP 10.0.1.10
one "TUN gue TCP IPv4 csum" -t 10.0.1.10:80 -- -r 10.0.2.11:80 -i --tun-type gue --tun-port 6080 --tun-csum -- TCP 10.0.1.10
one "TUN gue TCP IPv4 remcsum" -t 10.0.1.10:80 -- -r 10.0.2.11:80 -i --tun-type gue --tun-port 6080 --tun-remcsum -- TCP 10.0.1.10
one "TUN gue UDP IPv4 nocsum" -u 10.0.1.10:80 -- -r 10.0.2.11:80 -i --tun-type gue --tun-port 6080 -- UDP 10.0.1.10
x rs1 ip link add gre9 type gre remote 10.0.2.1 local 10.0.2.11 2>&1; x rs1 ip link set gre9 up
one "TUN gre TCP IPv4 nocsum" -t 10.0.1.10:80 -- -r 10.0.2.11:80 -i --tun-type gre -- TCP 10.0.1.10
x rs1 ip link del gre9;  x rs1 ip link add gre8 type gre remote 10.0.2.1 local 10.0.2.11 icsum 2>&1; x rs1 ip link set gre8 up
one "TUN gre TCP IPv4 csum" -t 10.0.1.10:80 -- -r 10.0.2.11:80 -i --tun-type gre --tun-csum -- TCP 10.0.1.10
true
