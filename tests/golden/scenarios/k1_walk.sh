# The classic walk-through: two keepalived, two web servers, direct routing, persistence; every event with its clock, the logs
# of both directors, their tables. First with TCP_CHECK, then with HTTP_GET.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
NET=192.168.179 VIP=192.168.179.199
stamp() { while IFS= read -r line; do read u _ < /proc/uptime; printf '%8s %s%s\n' "$u" "$1" "$line"; done; }
x() { local n=$1; shift; nsenter --net=/run/netns/$n "$@"; }
for n in sw cl m b rs1 rs2; do ip netns add $n; done
ip -n sw link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0; ip -n sw link set br0 up
host() { # host NAMESPACE LAST-BYTE
  ip -n sw link add p$1 type veth peer name eth0 netns $1; ip -n sw link set p$1 master br0 up
  ip -n $1 link set lo up; ip -n $1 link set eth0 up; ip -n $1 addr add $NET.$2/24 dev eth0; }
host cl 10; host m 102; host b 103; host rs1 99; host rs2 104
for n in rs1 rs2; do
  x $n sh -c 'for i in all lo; do echo 1 > /proc/sys/net/ipv4/conf/$i/arp_ignore; echo 2 > /proc/sys/net/ipv4/conf/$i/arp_announce; done'
  ip -n $n addr add $VIP/32 dev lo
done
web() { # web NAMESPACE TEXT: nginx with that page
  mkdir -p /tmp/$1; cat > /tmp/$1/nginx.conf <<X
daemon off; master_process off; pid /tmp/$1/pid; user root;
events { }
http { access_log off; error_log /tmp/$1/error; client_body_temp_path /tmp/$1/b; proxy_temp_path /tmp/$1/p; fastcgi_temp_path /tmp/$1/f;
 uwsgi_temp_path /tmp/$1/u; scgi_temp_path /tmp/$1/s; server { listen 80; location / { default_type text/html; return 200 "$2\n"; } } }
X
  ( x $1 nginx -p /tmp/$1 -c /tmp/$1/nginx.conf & ) 2>/dev/null; }
now() { read u _ < /proc/uptime; printf '%8s ## %s\n' "$u" "$*" >> /tmp/log; }
ka() { ( x $1 keepalived -n -l -D -f /tmp/$1.conf -p /run/$1.pid -r /run/$1.v -c /run/$1.c 2>&1; echo "exit status $?" ) | stamp "$1 " >> /tmp/log & }
flush() { usleep 200000; sort -s -n -k1,1 /tmp/log | sed -e 's/ [A-Z][a-z][a-z] [A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]* 20[0-9][0-9]: / /' | grep -v "Command line\|Running on Linux\|  '/run/"; : > /tmp/log
  for n in m b; do echo "--- $n"; x $n ipvsadm -Ln | sed 1,3d; x $n ip -o -4 addr show eth0 | grep -o " $VIP[^ ]*"; done; echo "--- client: $(x cl curl -s --max-time 3 http://$VIP/)"; }
conf() { # conf NAMESPACE STATE PRIORITY CHECK
  { cat <<X
vrrp_instance VI_1 {
    state $2
    interface eth0
    virtual_router_id 51
    priority $3
    advert_int 5
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        192.168.179.199
    }
}

virtual_server 192.168.179.199 80 {
    delay_loop 6
    lb_algo rr
    lb_kind DR
    persistence_timeout 60
    protocol TCP
    ${5:+sorry_server 127.0.0.1 80}
X
  for r in 99 104; do printf '    real_server 192.168.179.%s 80 {\n        weight 100\n%s\n    }\n' $r "$4"; done; echo '}'; } | grep -v '^ *$' > /tmp/$1.conf; }
TCP='        TCP_CHECK {
            connect_timeout 10
            nb_get_retry 3
            delay_before_retry 3
            connect_port 80
        }'
touch /tmp/log; chmod 666 /tmp/log
web rs1 'the page'; web rs2 'the page'; web m 'sorry'; web b 'sorry'; sleep 2
DIGEST=$(x m genhash -s $NET.99 -p 80 -u /index.html); echo "genhash: $DIGEST"
HTTP="        HTTP_GET {
            url {
                path /index.html
                status_code 200
                digest $DIGEST
            }
            connect_timeout 10
            nb_get_retry 3
            delay_before_retry 3
        }"
story() { # story TITLE CHECK
  printf '\n=== %s\n' "$1"; conf m MASTER 100 "$2" sorry; conf b BACKUP 50 "$2" sorry; cat /tmp/m.conf
  now "start of both"; ka m; ka b; sleep 35; flush
  now "rs1's web server is killed"; kill -9 $(cat /tmp/rs1/pid); sleep 35; flush
  now "rs1's web server is started"; web rs1 'the page'; sleep 25; flush
  now "both are killed"; kill -9 $(cat /tmp/rs1/pid) $(cat /tmp/rs2/pid); sleep 35; flush
  now "both are started"; web rs1 'the page'; web rs2 'the page'; sleep 25; flush
  now "the master stops"; kill $(cat /run/m.pid); sleep 30; flush
  now "the master starts"; ka m; sleep 35; flush
  now "both stop"; kill $(cat /run/b.pid); sleep 3; kill $(cat /run/m.pid); sleep 4; flush
}
story "TCP_CHECK" "$TCP"
story "HTTP_GET with status and digest" "$HTTP"
kill -9 $(cat /tmp/rs1/pid) $(cat /tmp/rs2/pid) $(cat /tmp/m/pid) $(cat /tmp/b/pid)
