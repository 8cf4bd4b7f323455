# Topology and helpers, sourced by the scenarios inside the guest.
#
#   cl ──┐ front (bridge brf)          back (bridge brb) ┌── rs1 10.0.2.11
#        ├── dr eth0 10.0.1.1   dr eth1 10.0.2.1 ────────┼── rs2 10.0.2.12
#   10.0.1.100                                           ├── rs3 10.0.2.13
#        └── rt eth0 10.0.1.254 rt eth1 10.0.2.254 ──────┘
#   (dr2, when asked for: eth0 10.0.1.2, eth1 10.0.2.2, sync: dr/dr2 eth2 10.0.9.1/.2)
# VIP 10.0.1.10 and fd00:1::10 on dr eth0. IPv6: fd00:1::/64 and fd00:2::/64, same host part.
# GW=dr (NAT: the real servers' default route is the director) or GW=rt (DR, TUN: the router).
# MACs: 02:00:00:00:<segment>:<host part in hex>.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/job LC_ALL=C
GW=${GW:-dr}; NRS=${NRS:-3}; CLN=${CLN:-0}; DR2=${DR2:-}
x() { local n=$1; shift; nsenter --net=/run/netns/$n "$@"; }       # run in a namespace
ii() { nsenter --net=/run/netns/dr "$@"; }
sect() { printf '\n=== %s\n' "$*"; }
note() { printf '# %s\n' "$*"; }
# show CMD...: print the command, its stdout, each stderr line behind "stderr: ", and its status
show() { showin dr "$@"; }
showin() {
  local n=$1 rc; shift
  printf '$ %s\n' "$*"
  nsenter --net=/run/netns/$n "$@" 2>/tmp/.err; rc=$?
  [ -s /tmp/.err ] && sed 's/^/stderr: /' /tmp/.err
  printf '[status %d]\n' $rc
  return 0
}
q() { # quiet in dr, shout when it fails
  nsenter --net=/run/netns/dr "$@" || echo "!! failed: $*"
}
hex2() { printf %02x $1; }
topo() {
  local n
  for n in sw cl dr rt ${DR2:+dr2}; do ip netns add $n; done
  for n in $(seq 1 $NRS); do ip netns add rs$n; done
  ip -n sw -batch - <<X
link add brf type bridge stp_state 0 forward_delay 0 mcast_snooping 0
link add brb type bridge stp_state 0 forward_delay 0 mcast_snooping 0
link set brf up
link set brb up
link add c.1 type veth peer name eth0 netns cl address 02:00:00:00:01:64
link add dr.1 type veth peer name eth0 netns dr address 02:00:00:00:01:01
link add dr.2 type veth peer name eth1 netns dr address 02:00:00:00:02:01
link add rt.1 type veth peer name eth0 netns rt address 02:00:00:00:01:fe
link add rt.2 type veth peer name eth1 netns rt address 02:00:00:00:02:fe
$( [ -n "$DR2" ] && cat <<Y
link add brs type bridge stp_state 0 forward_delay 0 mcast_snooping 0
link set brs up
link add e.1 type veth peer name eth0 netns dr2 address 02:00:00:00:01:02
link add e.2 type veth peer name eth1 netns dr2 address 02:00:00:00:02:02
link add dr.9 type veth peer name eth2 netns dr address 02:00:00:00:09:01
link add e.9 type veth peer name eth2 netns dr2 address 02:00:00:00:09:02
link set e.1 master brf up
link set e.2 master brb up
link set dr.9 master brs up
link set e.9 master brs up
Y
)
$(for n in $(seq 1 $NRS); do echo "link add rs$n type veth peer name eth0 netns rs$n address 02:00:00:00:02:$(hex2 $((10+n)))"; echo "link set rs$n master brb up"; done)
link set c.1 master brf up
link set dr.1 master brf up
link set dr.2 master brb up
link set rt.1 master brf up
link set rt.2 master brb up
X
  for n in cl dr rt ${DR2:+dr2} $(seq 1 $NRS | sed s,^,rs,); do
    x $n sh -c 'echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
      echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter
      for i in /sys/class/net/eth*; do :; done'
  done
  ip -n cl -batch - <<X
link set lo up
link set eth0 up
addr add 10.0.1.100/24 dev eth0
addr add fd00:1::100/64 dev eth0 nodad
$(for n in $(seq 1 $CLN); do echo "addr add 10.0.1.$((100+n))/24 dev eth0"; echo "addr add fd00:1::$((100+n))/64 dev eth0 nodad"; done)
route add 10.0.2.0/24 via 10.0.1.254
route add 10.0.3.0/24 via 10.0.1.1
route add fd00:2::/64 via fd00:1::fe
route add fd00:3::/64 via fd00:1::1
X
  ip -n dr -batch - <<X
link set lo up
link set eth0 up
link set eth1 up
addr add 10.0.1.1/24 dev eth0
addr add 10.0.1.10/32 dev eth0
addr add 10.0.2.1/24 dev eth1
addr add fd00:1::1/64 dev eth0 nodad
addr add fd00:1::10/128 dev eth0 nodad
addr add fd00:2::1/64 dev eth1 nodad
X
  x dr sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
     echo 0 >/proc/sys/net/ipv4/conf/all/send_redirects; echo 0 >/proc/sys/net/ipv4/conf/eth0/send_redirects; echo 0 >/proc/sys/net/ipv4/conf/eth1/send_redirects'
  if [ -n "$DR2" ]; then
  ip -n dr -batch - <<X
link set eth2 up
addr add 10.0.9.1/24 dev eth2
addr add fd00:9::1/64 dev eth2 nodad
X
  ip -n dr2 -batch - <<X
link set lo up
link set eth0 up
link set eth1 up
link set eth2 up
addr add 10.0.1.2/24 dev eth0
addr add 10.0.2.2/24 dev eth1
addr add 10.0.9.2/24 dev eth2
addr add fd00:1::2/64 dev eth0 nodad
addr add fd00:2::2/64 dev eth1 nodad
addr add fd00:9::2/64 dev eth2 nodad
X
  x dr2 sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
     echo 0 >/proc/sys/net/ipv4/conf/all/send_redirects'
  fi
  ip -n rt -batch - <<X
link set lo up
link set eth0 up
link set eth1 up
addr add 10.0.1.254/24 dev eth0
addr add 10.0.2.254/24 dev eth1
addr add fd00:1::fe/64 dev eth0 nodad
addr add fd00:2::fe/64 dev eth1 nodad
X
  x rt sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; echo 0 >/proc/sys/net/ipv4/conf/all/send_redirects'
  local g=1 g6=1; [ "$GW" = rt ] && { g=254; g6=fe; }
  for n in $(seq 1 $NRS); do
    ip -n rs$n -batch - <<X
link set lo up
link set eth0 up
addr add 10.0.2.$((10+n))/24 dev eth0
addr add fd00:2::1$n/64 dev eth0 nodad
route add default via 10.0.2.$g
route add default via fd00:2::$g6
X
  done
  if [ -z "${OFFLOAD:-}" ]; then
    x cl ethtool -K eth0 tx off tso off gso off gro off >/dev/null 2>&1
    for n in dr rt; do x $n ethtool -K eth0 tx off tso off gso off gro off >/dev/null 2>&1; x $n ethtool -K eth1 tx off tso off gso off gro off >/dev/null 2>&1; done
    for n in $(seq 1 $NRS); do x rs$n ethtool -K eth0 tx off tso off gso off gro off >/dev/null 2>&1; done
  fi
}
vip_on_rs() { # DR and TUN: the VIP on the real servers' lo, quiet to ARP
  local n
  for n in $(seq 1 $NRS); do
    x rs$n sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
    ip -n rs$n addr add 10.0.1.10/32 dev lo; ip -n rs$n addr add fd00:1::10/128 dev lo nodad
  done
}
servers() { # start rsd.py: one process answering in every rsN
  python3 /job/rsd.py "$@" & RSD=$!
  local i; for i in $(seq 200); do [ -e /tmp/rsd.ready ] && return; usleep 20000; done; echo "!! rsd did not start"
}
rsctl() { echo "$*" | nc -U -N -q1 /tmp/rsd.sock 2>/dev/null || python3 -c 'import socket,sys
s=socket.socket(socket.AF_UNIX);s.connect("/tmp/rsd.sock");s.send(" ".join(sys.argv[1:]).encode()+b"\n");print(s.recv(999).decode(),end="")' "$@"; }
cap() { # cap NAME NS IF [filter...]: capture to /tmp/NAME.pcap, wait until it listens
  local name=$1 ns=$2 i=$3; shift 3
  nsenter --net=/run/netns/$ns tcpdump --immediate-mode -U -n -i $i -w /tmp/$name.pcap -B 2048 "$@" 2>/tmp/$name.err & echo $! >> /tmp/caps
  local k; for k in $(seq 200); do grep -q 'listening on' /tmp/$name.err 2>/dev/null && return; usleep 20000; done; echo "!! tcpdump $name did not start"
}
capstop() { usleep 300000; [ -e /tmp/caps ] && kill -TERM $(cat /tmp/caps) 2>/dev/null; wait $(cat /tmp/caps) 2>/dev/null; rm -f /tmp/caps; }
capshow() { # capshow NAME TITLE [tcpdump options]
  local name=$1 title=$2; shift 2
  printf -- '--- %s\n' "$title"; tcpdump -nn -e -v -tt "$@" -r /tmp/$name.pcap 2>/dev/null | norm_t
  mkdir -p /out/pcap; cp /tmp/$name.pcap /out/pcap/${PCAPPFX:-}$name.pcap
}
norm_t() { awk '/^[0-9]+\.[0-9]+ /{t=$1; if(!b)b=t; sub(/^[0-9.]+ /, sprintf("%.3f ", t-b))} {print}'; }
