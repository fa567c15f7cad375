# SPDX-License-Identifier: GPL-2.0
# Namespaces, bridge, tap (sourced by scripts/lab). Everything hangs in namespaces named $LAB-*;
# the machine's own network is not touched. MAC addresses are fixed (02:00:0a:7b:00:NN).

net_up() {
	local s n
	{
		echo "netns add $LAB-hub"
		for s in "${SERVERS[@]}"; do echo "netns add $LAB-$s"; done
	} | ip -batch -
	ip -n "$LAB-hub" -batch - <<-END
		link set lo up
		link add br0 type bridge mcast_snooping 0
		link set br0 up
		tuntap add tap0 mode tap
		link set tap0 master br0 up
	END
	for s in "${SERVERS[@]}"; do
		n=$(server_number "$s")
		echo "link add v-$s type veth peer name eth0 address 02:00:0a:7b:00:$(printf %02x "$n") netns $LAB-$s"
		echo "link set v-$s master br0 up"
	done | ip -n "$LAB-hub" -batch -
	for s in "${SERVERS[@]}"; do
		n=$(server_number "$s")
		ip -n "$LAB-$s" -batch - <<-END
			link set lo up
			link set eth0 up
			addr add 10.123.0.$n/24 dev eth0
			addr add fd00:123::$n/64 dev eth0 nodad
		END
	done
}

# Every process in one of the lab's namespaces, the VM included.
net_kill_all() {
	local ns pids i
	for ns in /run/netns/"$LAB"-*; do
		[[ -e $ns ]] || continue
		for i in {1..50}; do
			pids=$(ip netns pids "${ns##*/}" 2>/dev/null)
			[[ -n $pids ]] || break
			kill -KILL $pids 2>/dev/null
			sleep 0.02
		done
	done
}

net_down() {
	local ns
	for ns in /run/netns/"$LAB"-*; do
		[[ -e $ns ]] && ip netns del "${ns##*/}"
	done
}

# Black hole: the hub's bridge port stops forwarding both ways, without a carrier change at the server.
port_state() { bridge -n "$LAB-hub" link set dev "v-$1" state "$2"; }
port_is_off() { [[ $(bridge -n "$LAB-hub" link show dev "v-$1") == *disabled* ]]; }
