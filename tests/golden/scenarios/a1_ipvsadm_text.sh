# ipvsadm's text: what every command prints, its status, listing formats.
. /job/topo.sh
NRS=1 topo
S="show ipvsadm"
sect help and version
$S -h
$S --version
ls -la /proc/sys/net/ipv4/vs >/dev/null
sect empty table
for a in "" -L -Ln -Lc -Lnc "-L -n --stats" "-L -n --rate" "-L --timeout" "-L --daemon" "-L -n --thresholds" "-L -n --persistent-conn" "-L -n --tun-info" -S "-S -n" -Z -C; do $S $a; done
sect services of every protocol, scheduler, one after another
p=1
for s in rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh; do
  $S -A -t 10.0.1.10:$p -s $s; p=$((p+1))
done
$S -A -u 10.0.1.10:53 -s rr
$S -A --sctp-service 10.0.1.10:36412 -s rr
$S -A -f 1 -s rr
$S -A -f 2 -6 -s wlc
$S -A -f 4294967295 -s rr
$S -A -t '[fd00:1::10]:80' -s wlc
$S -A -u '[fd00:1::10]:53' -s rr
$S -A --sctp-service '[fd00:1::10]:36412' -s rr
$S -A -t 10.0.1.10:100
$S -A -t 10.0.1.10:http -s rr
$S -Ln
$S -L
$S -Ln --nosort
$S -Ln --sort
$S -Sn
$S -S
$S -C
$S -Ln
sect persistence, netmask, one packet, flags, pe
$S -A -t 10.0.1.10:80 -s rr -p
$S -A -t 10.0.1.10:81 -s rr -p 60
$S -A -t 10.0.1.10:82 -s rr -p 300 -M 255.255.255.0
$S -A -t 10.0.1.10:0 -s rr -p 100
$S -A -t 10.0.1.10 -s rr -p 100
$S -A -u 10.0.1.10:5060 -s rr -p 60 --pe sip
$S -A -u 10.0.1.10:5061 -s rr -p 60 --pe nonesuch
$S -A -u 10.0.1.10:54 -s rr -O
$S -A -u 10.0.1.10:55 -s rr --ops
$S -A -u 10.0.1.10:56 -s rr -o
$S -A -t 10.0.1.10:98 -s rr -o
$S -A -t 10.0.1.10:98 -s rr -o -p 60
$S -A -f 6 -s rr -o
$S -A -t 10.0.1.10:83 -s rr -O
$S -A -f 5 -s rr -O
$S -A -t 10.0.1.10:84 -s sh -b sh-fallback
$S -A -t 10.0.1.10:85 -s sh -b sh-port
$S -A -t 10.0.1.10:86 -s sh -b sh-fallback,sh-port
$S -A -t 10.0.1.10:87 -s mh -b mh-fallback
$S -A -t 10.0.1.10:88 -s mh -b mh-port
$S -A -t 10.0.1.10:89 -s mh -b mh-fallback,mh-port
$S -A -t 10.0.1.10:90 -s rr -b flag-1
$S -A -t 10.0.1.10:91 -s rr -b flag-1,flag-2,flag-3
$S -A -t 10.0.1.10:92 -s rr -b sh-port
$S -A -t 10.0.1.10:93 -s sh -b flag-1,flag-2
$S -A -t 10.0.1.10:94 -s sh -b flag-3
$S -A -t 10.0.1.10:95 -s mh -b sh-port,flag-3
$S -A -t 10.0.1.10:96 -s rr -b nonesuch
$S -A -t 10.0.1.10:97 -s rr -b ''
$S -A -t '[fd00:1::10]:80' -s rr -p 60 -M 64
$S -A -t '[fd00:1::10]:81' -s rr -p 60 -M 0
$S -A -t '[fd00:1::10]:82' -s rr -p 60 -M 128
$S -A -t '[fd00:1::10]:83' -s rr -p 60 -M 129
$S -A -t '[fd00:1::10]:84' -s rr -p 60 -M 255.255.255.0
$S -A -f 7 -6 -s rr -p 60 -M 48
$S -A -f 8 -s rr -p 60 -M 255.255.0.0
$S -Ln
$S -L
$S -Sn
$S -Ln --persistent-conn
sect edit a service
$S -E -t 10.0.1.10:80 -s wlc
$S -Ln -t 10.0.1.10:80
$S -E -t 10.0.1.10:80 -p 77
$S -Ln -t 10.0.1.10:80
$S -E -t 10.0.1.10:84 -s sh
$S -Ln -t 10.0.1.10:84
$S -E -t 10.0.1.10:80 -s nonesuch
$S -E -t 10.0.1.10:9999 -s rr
$S -D -t 10.0.1.10:80
$S -D -t 10.0.1.10:80
$S -Ln -t 10.0.1.10:80
$S -C
sect destinations: forwarding methods, weights, thresholds
$S -A -t 10.0.1.10:80 -s wrr
$S -a -t 10.0.1.10:80 -r 10.0.2.11
$S -a -t 10.0.1.10:80 -r 10.0.2.12:80 -g
$S -a -t 10.0.1.10:80 -r 10.0.2.13:8080 -g -w 5
$S -a -t 10.0.1.10:80 -r 10.0.2.14:8080 -i
$S -a -t 10.0.1.10:80 -r 10.0.2.15:8080 -m
$S -a -t 10.0.1.10:80 -r 10.0.2.16 -m -w 0
$S -a -t 10.0.1.10:80 -r 10.0.2.17 -m -w 65535
$S -a -t 10.0.1.10:80 -r 10.0.2.18 -m -w 65536
$S -a -t 10.0.1.10:80 -r 10.0.2.19 -m -w 2147483647
$S -a -t 10.0.1.10:80 -r 10.0.2.20 -m -x 100 -y 50
$S -a -t 10.0.1.10:80 -r 10.0.2.21 -m -x 100
$S -a -t 10.0.1.10:80 -r 10.0.2.22 -m -y 50
$S -a -t 10.0.1.10:80 -r 10.0.2.23 -m -x 50 -y 100
$S -a -t 10.0.1.10:80 -r 10.0.2.24 -i --tun-type ipip
$S -a -t 10.0.1.10:80 -r 10.0.2.25 -i --tun-type gue --tun-port 6080
$S -a -t 10.0.1.10:80 -r 10.0.2.26 -i --tun-type gue --tun-port 6080 --tun-csum
$S -a -t 10.0.1.10:80 -r 10.0.2.27 -i --tun-type gue --tun-port 6080 --tun-nocsum
$S -a -t 10.0.1.10:80 -r 10.0.2.28 -i --tun-type gue --tun-port 6080 --tun-remcsum
$S -a -t 10.0.1.10:80 -r 10.0.2.29 -i --tun-type gue
$S -a -t 10.0.1.10:80 -r 10.0.2.30 -i --tun-type gre
$S -a -t 10.0.1.10:80 -r 10.0.2.31 -i --tun-type gre --tun-csum
$S -a -t 10.0.1.10:80 -r 10.0.2.32 -i --tun-type gre --tun-remcsum
$S -a -t 10.0.1.10:80 -r 10.0.2.33 -i --tun-type gre --tun-port 6080
$S -a -t 10.0.1.10:80 -r 10.0.2.34 -m --tun-type gue --tun-port 6080
$S -a -t 10.0.1.10:80 -r 10.0.2.35 -i --tun-type vxlan
$S -a -t 10.0.1.10:80 -r 127.0.0.1:80 -m
$S -a -t 10.0.1.10:80 -r 10.0.2.1:8080 -m
$S -a -t 10.0.1.10:80 -r 10.0.2.1:80 -g
$S -a -t 10.0.1.10:80 -r '[fd00:2::11]:80' -i
$S -a -t 10.0.1.10:80 -r '[fd00:2::11]:80' -m
$S -a -t 10.0.1.10:80 -r '[fd00:2::11]:80' -g
$S -Ln
$S -L
$S -Ln --nosort
$S -Ln --thresholds
$S -Ln --persistent-conn
$S -Ln --tun-info
$S -Ln --stats
$S -Ln --rate
$S -Ln --exact
$S -Ln --stats --exact
$S -Ln --rate --exact
$S -Sn
$S -S
note "/proc/net/ip_vs"; ii cat /proc/net/ip_vs
note "/proc/net/ip_vs_conn"; ii cat /proc/net/ip_vs_conn
note "/proc/net/ip_vs_conn_sync"; ii cat /proc/net/ip_vs_conn_sync
note "/proc/net/ip_vs_stats"; ii cat /proc/net/ip_vs_stats
note "/proc/net/ip_vs_stats_percpu"; ii cat /proc/net/ip_vs_stats_percpu
note "/proc/net/ip_vs_app"; ii cat /proc/net/ip_vs_app
sect edit and delete destinations
$S -e -t 10.0.1.10:80 -r 10.0.2.12:80 -m -w 7
$S -Ln -t 10.0.1.10:80
$S -e -t 10.0.1.10:80 -r 10.0.2.12:80 -w 9
$S -Ln -t 10.0.1.10:80
$S -e -t 10.0.1.10:80 -r 10.0.2.99:80 -w 9
$S -d -t 10.0.1.10:80 -r 10.0.2.12:80
$S -d -t 10.0.1.10:80 -r 10.0.2.12:80
$S -d -t 10.0.1.10:80 -r 10.0.2.13
$S -d -t 10.0.1.10:80 -r 10.0.2.13:8080
$S -a -t 10.0.1.10:80 -r 10.0.2.11
$S -Ln
sect fwmark and IPv6 destinations
$S -A -f 1 -s rr
$S -a -f 1 -r 10.0.2.11 -m
$S -a -f 1 -r 10.0.2.12:8080 -m
$S -a -f 1 -r 10.0.2.13 -g
$S -A -f 2 -6 -s rr
$S -a -f 2 -6 -r 'fd00:2::11' -m
$S -a -f 2 -6 -r '[fd00:2::12]:8080' -m
$S -a -f 2 -6 -r '[fd00:2::13]' -g
$S -a -f 2 -r '[fd00:2::14]' -g
$S -A -t '[fd00:1::10]:80' -s rr
$S -a -t '[fd00:1::10]:80' -r '[fd00:2::11]:80' -m
$S -a -t '[fd00:1::10]:80' -r 'fd00:2::12' -m
$S -a -t '[fd00:1::10]:80' -r '10.0.2.12:80' -i
$S -a -t '[fd00:1::10]:80' -r '10.0.2.12:80' -m
$S -A -t 'fd00:1::10' -s rr -p 60
$S -A -t 'fd00:1::10:80' -s rr
$S -A -u 10.0.1.10:53 -s rr
$S -a -u 10.0.1.10:53 -r 10.0.2.11:53 -m
$S -A --sctp-service 10.0.1.10:36412 -s rr
$S -a --sctp-service 10.0.1.10:36412 -r 10.0.2.11 -m
$S -Ln
$S -L
$S -Ln -f 1
$S -Ln -f 2
$S -Ln -f 2 -6
$S -Ln -t '[fd00:1::10]:80'
$S -Ln -u 10.0.1.10:53
$S -Ln --sctp-service 10.0.1.10:36412
$S -Ln --stats
$S -Ln --rate
$S -Ln --thresholds
$S -Ln --persistent-conn
$S -Ln --tun-info
$S -Sn
note "/proc/net/ip_vs"; ii cat /proc/net/ip_vs
sect save, clear, restore
ii ipvsadm -Sn > /tmp/saved
$S -C
$S -Ln
printf '$ ipvsadm -R < saved\n'; ii ipvsadm -R < /tmp/saved; echo "[status $?]"
ii ipvsadm -Sn > /tmp/saved2; cmp /tmp/saved /tmp/saved2 && echo "the save is the same after restore"
printf '$ ipvsadm -R with a leading word and a comment and an empty line\n'
printf 'ipvsadm -A -t 10.0.1.10:8000 -s rr\n# comment\n\n-a -t 10.0.1.10:8000 -r 10.0.2.11:8000 -m -w 1\n' | ii ipvsadm -R; echo "[status $?]"
$S -Ln -t 10.0.1.10:8000
printf '$ ipvsadm -R with a bad line in the middle\n'
printf -- '-A -t 10.0.1.10:8001 -s rr\n-A -t 10.0.1.10:8001 -s rr\n-A -t 10.0.1.10:8002 -s rr\n' | ii ipvsadm -R; echo "[status $?]"
$S -Ln -t 10.0.1.10:8002
printf '$ ipvsadm-restore line with -n and quotes\n'
printf -- '-A -t "10.0.1.10:8003" -s rr\n' | ii ipvsadm -R; echo "[status $?]"
$S -Ln
sect timeouts
$S -L --timeout
$S --set 1000 100 200
$S -L --timeout
$S --set 0 0 50
$S -L --timeout
$S --set 1 2
$S --set a b c
$S --set -1 2 3
$S --set 2147483 1 1
$S -L --timeout
$S --set 2147484 1 1
$S -L --timeout
$S --set 900 120 300
sect zero
$S -Z
$S -Z -t 10.0.1.10:80
$S -Z -t 10.0.1.10:9
$S -Z -f 1
sect a daemon cannot start beside a destination of the other address family
$S --start-daemon master --mcast-interface eth0
$S -C
sect daemon
$S -L --daemon
$S --start-daemon master
$S --start-daemon master --mcast-interface eth0
$S -L --daemon
$S --start-daemon master --mcast-interface eth0
$S --start-daemon backup --mcast-interface eth0 --syncid 7
$S -L --daemon
note sysctls with both running; ps w | grep -E 'ipvs-[mb]' | grep -v grep | sed 's/^ *[0-9]* *//'
$S --stop-daemon master
$S -L --daemon
$S --stop-daemon master
$S --stop-daemon backup
$S -L --daemon
$S --start-daemon master --mcast-interface nonesuch
$S --start-daemon both --mcast-interface eth0
$S --start-daemon master --mcast-interface eth0 --syncid 256
$S --start-daemon master --mcast-interface eth0 --syncid -1
$S --start-daemon master --mcast-interface eth0 --syncid 255
$S -L --daemon
$S --stop-daemon master
$S --start-daemon master --mcast-interface eth0 --syncid 3 --sync-maxlen 1400 --mcast-group 224.0.0.99 --mcast-port 9000 --mcast-ttl 3
$S -L --daemon
$S --stop-daemon master
$S --start-daemon backup --mcast-interface eth0 --syncid 3 --mcast-group ff05::99 --mcast-port 9001 --mcast-ttl 2
$S -L --daemon
$S --stop-daemon backup
$S --start-daemon master --mcast-interface eth0 --sync-maxlen 10
$S --start-daemon master --mcast-interface eth0 --sync-maxlen 65508
$S --start-daemon master --mcast-interface eth0 --mcast-group 10.0.0.1
$S --start-daemon master --mcast-interface eth0 --mcast-ttl 0
$S --start-daemon master --mcast-interface eth0 --mcast-ttl 256
$S --start-daemon master --mcast-interface eth0 --mcast-port 0
$S --stop-daemon nonesuch
$S --stop-daemon
$S -L --daemon
$S --start-daemon backup --mcast-interface eth0 --syncid 9
$S -A -t 10.0.1.10:80 -s rr
note "and with a daemon running such a destination cannot be added"
$S -a -t 10.0.1.10:80 -r '[fd00:2::11]:80' -i
$S --stop-daemon backup
$S -C
