# SPDX-License-Identifier: GPL-2.0
# A second type of server (sourced by scripts/lab): ksmbd in a VM of its own, on the bridge of the lab, beside the
# Samba servers. Started by the case that wants it, in seconds; `heal` takes it away. Its share1 is the folder that
# t1, t2 and t3 serve, its share2 one of its own. It has no DFS.

KSMBD=$STATE/ksmbd

# The disk that is unpacked over the guest's image, as scripts/vm makes one for the VM under test.
ksmbd_pack() {
	local tree=$KSMBD/tree lib
	mkdir -p "$tree"/usr/{sbin,libexec,lib/x86_64-linux-gnu} "$tree/etc/ksmbd"
	cp -a "$ROOT"/opt/ksmbd/usr/sbin/. "$tree/usr/sbin/"
	cp "$ROOT/opt/ksmbd/usr/libexec/ksmbd.tools" "$tree/usr/libexec/"
	chroot "$ROOT" ldd /opt/ksmbd/usr/libexec/ksmbd.tools | awk '$3 ~ /^\// { print $3 }' | while read -r lib; do
		cp -L "$ROOT$lib" "$tree/usr/lib/x86_64-linux-gnu/"
	done
	install -m755 "$HERE/ksmbd-init" "$tree/usr/sbin/vm-init"
	cp "$STATE/passwd" "$STATE/group" "$tree/etc/"
	tar -C "$tree" -cf "$KSMBD/disk.tar" --owner=0 --group=0 .
	rm -rf "$tree"
}

ksmbd_up() {
	local guest i
	[[ ! -e $KSMBD/pid ]] || return 0
	RSDFS_CACHE=$CACHE "$HERE/../../scripts/root" ksmbd >&2 || die "no ksmbd (see $CACHE/log/ksmbd)"
	guest=$(RSDFS_CACHE=$CACHE "$HERE/../../scripts/guest") || die "no guest image"
	mkdir -p "$KSMBD"
	ksmbd_pack
	ip -n "$LAB-hub" -batch - <<-END
		tuntap add tap1 mode tap
		link set tap1 master br0 up
	END
	# As lib-enter-ns does, but it lives on when this script ends. Not 9p: that cannot rename without replacing.
	setsid nsenter "--net=/run/netns/$LAB-hub" \
		unshare --mount --pid --fork --kill-child --propagation private "$HERE/../../scripts/lib-enter" "$ROOT" \
		"$guest:/srv/rsdfs-guest" "$KSMBD:/srv/rsdfs-run" "$STATE/back/share1:/srv/share1" -- sh -c '
		/usr/libexec/virtiofsd --sandbox none --cache never --xattr --shared-dir /srv/share1 --socket-path /srv/rsdfs-run/share1 &
		until [ -S /srv/rsdfs-run/share1 ]; do sleep 0.02; done
		exec "$@"' sh qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
		-M pc -accel tcg,thread=multi -cpu max,-erms,-fsrm -smp 1 -m 512M \
		-kernel /srv/rsdfs-guest/vmlinuz -initrd /srv/rsdfs-guest/initrd \
		-drive file=/srv/rsdfs-guest/root.img,if=virtio,format=raw,readonly=on \
		-drive file=/srv/rsdfs-run/disk.tar,if=virtio,format=raw,readonly=on \
		-object memory-backend-memfd,id=memory,size=512M,share=on -numa node,memdev=memory \
		-chardev socket,id=share1,path=/srv/rsdfs-run/share1 -device vhost-user-fs-pci,chardev=share1,tag=share1 \
		-netdev tap,id=net,ifname=tap1,script=no,downscript=no -device virtio-net-pci,netdev=net,romfile=,mac=02:00:0a:7b:00:0e \
		-device virtio-serial-pci -chardev socket,id=control,path=/srv/rsdfs-run/control,server=on,wait=off \
		-device virtserialport,chardev=control,name=control \
		-serial file:/srv/rsdfs-run/console \
		-append "console=ttyS0 panic=-1 oops=panic net.ifnames=0 random.trust_cpu=on mitigations=off lsm=capability audit=0 tsc=reliable no_timer_check" \
		</dev/null >>"$KSMBD/qemu.out" 2>&1 &
	echo $! >"$KSMBD/pid"
	for i in {1..300}; do
		[[ ! -S $KSMBD/control ]] || break
		sleep 0.05
	done
	ksmbd_say '' 100 || die "ksmbd did not start: $(tail -5 "$KSMBD/qemu.out" "$KSMBD/console")"
}

# ksmbd_say LINE [SECONDS]: what ksmbd-init is to do; its status. Nothing to do: waits until it is there.
ksmbd_say() {
	python3 - "$KSMBD/control" "$1" "${2:-20}" <<-'END'
	import socket, sys
	port = socket.socket(socket.AF_UNIX)
	port.settimeout(float(sys.argv[3]))
	port.connect(sys.argv[1])
	if sys.argv[2]:
	    port.sendall(sys.argv[2].encode() + b"\n")
	words = port.makefile().readline().split()
	sys.exit(int(words[-1]) if words else 125)
	END
}

ksmbd_down() {
	local pid
	[[ -e $KSMBD/pid ]] || return 0
	pid=$(<"$KSMBD/pid")
	kill -KILL "$pid" 2>/dev/null
	while alive "$pid"; do sleep 0.02; done
	until ip -n "$LAB-hub" tuntap del tap1 mode tap 2>/dev/null || [[ ! -e /run/netns/$LAB-hub ]]; do sleep 0.05; done
	rm -rf "$KSMBD"
}

do_ksmbd() {
	case ${1:-} in
	up) ksmbd_up ;;
	down) ksmbd_down ;;
	kill) ksmbd_say kill_server ;;
	start) ksmbd_say start_server ;;
	drop) bridge -n "$LAB-hub" link set dev tap1 state 0 ;;
	undrop) bridge -n "$LAB-hub" link set dev tap1 state 3 ;;
	console) cat "$KSMBD/console" ;;
	*) die "ksmbd: up, down, kill, start, drop, undrop or console" ;;
	esac
}
