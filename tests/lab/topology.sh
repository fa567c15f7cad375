# SPDX-License-Identifier: GPL-2.0
# Who serves what (sourced by scripts/lab). Topology "standalone":
#
#   root   10.123.0.10   \\root\dfstest     the namespace; \\root\plain is an ordinary share
#                        \\root\many        a namespace with 200 links; \\root\multi one with two root targets
#   t1     10.123.0.11   \\target1\share1   replicated storage: one folder, served by every target
#   t2     10.123.0.12   \\target2\share2   diverged replicas: a folder on each target; \\target2\dfs2 a namespace
#   t3     10.123.0.13   \\target3\guest    open to guests; \\target3\dfs3 a namespace on a target
#
# Topology "domain" is all that, and the domain eco.test (ECO), in which each server has a second name:
#
#   dc1    10.123.0.5    \\eco.test\dfs     a namespace on the domain controllers; KDC, DNS server, sysvol
#   dc2    10.123.0.6    \\eco.test\ns      a namespace whose two root targets are \\root\ns and \\target3\ns
#
# User smbu/pw123 everywhere; smbu2/pw123 everywhere but on t1, where the password is another one.

TOPOLOGY=$(cat "$STATE/topology" 2>/dev/null || echo standalone)

topology_servers() {
	SERVERS=(root t1 t2 t3)
	[[ $TOPOLOGY != domain ]] || SERVERS+=(dc1 dc2)
}
topology_servers

server_number() {
	case $1 in
	dc1) echo 5 ;;
	dc2) echo 6 ;;
	root) echo 10 ;;
	t1) echo 11 ;;
	t2) echo 12 ;;
	t3) echo 13 ;;
	*) return 1 ;;
	esac
}
server_address() { echo "10.123.0.$(server_number "$1")"; }
server_name() { case $1 in t?) echo "target${1#t}" ;; *) echo "$1" ;; esac; }
is_dc() { [[ $1 == dc? ]]; }
is_server() { [[ " ${SERVERS[*]} " == *" ${1:-none} "* ]] || die "no server named ${1:-} in topology $TOPOLOGY (${SERVERS[*]})"; }

# Name and target list of every DFS link below \\root\dfstest.
topology_links() {
	cat <<-'LINKS'
	link1          \target1\share1,\target2\share1
	link1r         \target2\share1,\target1\share1
	link2          \target1\share2,\target2\share2
	single         \target1\share1
	three          \target1\share1,\target2\share1,\target3\share1
	sub/nested     \target1\share1\deep,\target2\share1\deep
	prefix         \target1\share1\a\b,\target2\share2\r\data
	interlink      \root\dfstest\link1
	far            \target3\dfs3
	loop           \root\dfstest\loop
	loopa          \root\dfstest\loopb
	loopb          \root\dfstest\loopa
	dead           \10.123.0.99\share1,\10.123.0.98\share1
	firstdead      \10.123.0.99\share1,\target2\share1
	twodead        \10.123.0.99\share1,\10.123.0.98\share1,\target3\share1
	unknownhost    \nosuchhost.rsdfs.test\share1,\target2\share1
	noshare        \target1\nosuch,\target2\share1
	onlynoshare    \target1\nosuch
	noprefix       \target1\share1\nosuchdir,\target2\share1\a
	fqdn           \target1.rsdfs.test\share1,\target2.rsdfs.test\share1
	byaddress      \10.123.0.11\share1,\10.123.0.12\share1
	guest          \target3\guest
	nondfs         \root\plain
	chain          \target3\dfs3\middle
	durable        \target1\durable,\target2\durable
	LINKS
}

# The links below \\eco.test\dfs and \\eco.test\ns: of one of them, and the other one.
topology_domain_links() {
	sed "s/NS1/$1/; s/NS2/$2/; s/TARGET\(.\)/target\1.eco.test/g" <<-'LINKS'
	link1          \TARGET1\share1,\TARGET2\share1
	link1r         \TARGET2\share1,\TARGET1\share1
	link2          \TARGET1\share2,\TARGET2\share2
	single         \TARGET1\share1
	three          \TARGET1\share1,\TARGET2\share1,\TARGET3\share1
	sub/nested     \TARGET1\share1\deep,\TARGET2\share1\deep
	prefix         \TARGET1\share1\a\b,\TARGET2\share2\r\data
	interlink      \eco.test\NS1\link1
	other          \eco.test\NS2\link1
	standalone     \root\dfstest\link1
	far            \TARGET3\dfs3
	chain          \TARGET3\dfs3\middle
	loop           \eco.test\NS1\loop
	dead           \10.123.0.99\share1,\10.123.0.98\share1
	firstdead      \10.123.0.99\share1,\TARGET2\share1
	lastdead       \TARGET1\share1,\10.123.0.99\share1
	LINKS
}

# Two hundred links with one target each, on two servers.
topology_many_links() {
	local i
	for i in {1..200}; do
		printf 'l%03d target%d\\share%d\n' "$i" $((i % 2 + 1)) $((i / 2 % 2 + 1))
	done
}

# Every link of the lab: folder, name, targets as smbd wants them in a link, without the leading backslashes.
topology_link_texts() {
	{
		topology_links | sed 's/^/dfstest /'
		cat <<-'LINKS'
		dfs3 onward    \target1\share1,\target2\share1
		dfs3 middle    \target2\dfs2\end
		dfs2 end       \target1\share1\deep,\target2\share1\deep
		dfs2 other     \target1\share1\a\b,\target2\share1\a\b
		LINKS
		[[ $TOPOLOGY != domain ]] || {
			topology_domain_links dfs ns | sed 's/^/domain /'
			topology_domain_links ns dfs | sed 's/^/ns /'
		}
	} | sed 's/\([ ,]\)\\/\1/g'
}

# Shares of one server: name, backing folder, further smb.conf lines separated by "|".
topology_shares() {
	local domain=''
	[[ $TOPOLOGY != domain ]] || domain=1
	case $1 in
	root)
		echo "dfstest dfstest msdfs root = yes"
		echo "plain plain"
		echo "many many msdfs root = yes"
		echo 'multi plain msdfs root = yes|msdfs proxy = \root\dfstest,\target3\dfstest'
		[[ -z $domain ]] || echo "ns ns msdfs root = yes"
		;;
	t3)
		echo "share1 share1"
		echo "share2 t3-share2"
		echo "guest guest guest ok = yes"
		echo "dfs3 dfs3 msdfs root = yes"
		echo "dfstest dfstest msdfs root = yes"
		[[ -z $domain ]] || echo "ns ns msdfs root = yes"
		;;
	dc?)
		echo "dfs domain msdfs root = yes"
		echo 'ns plain msdfs root = yes|msdfs proxy = \root.eco.test\ns,\target3.eco.test\ns'
		dc_shares "$1"
		;;
	*)
		echo "share1 share1"
		echo "share2 $1-share2"
		echo "readonly share1 read only = yes"
		# As smbd wants it for durable handles: opens and locks are not seen by the other server.
		echo "durable share1 kernel share modes = no|posix locking = no"
		[[ $1 != t2 ]] || echo "dfs2 dfs2 msdfs root = yes"
		;;
	esac
}

set_link() { # folder, name, targets (separated by ",")
	local link=$STATE/back/$1/$2
	mkdir -p "${link%/*}"
	ln -sfn "msdfs:$3" "$link"
}

# Every link as it is at first, but those of "many".
topology_link_all() {
	local folder name targets
	while read -r folder name targets; do set_link "$folder" "$name" "$targets"; done < <(topology_link_texts)
}

topology_backing() {
	local back=$STATE/back name targets s
	mkdir -p "$back"/{dfstest/sub/plain,plain,share1/deep/er,share1/a/b,t1-share2,t2-share2/r/data,t3-share2,guest,dfs2,dfs3,many}
	[[ $TOPOLOGY != domain ]] || mkdir -p "$back"/{domain,ns}
	topology_link_all
	while read -r name targets; do ln -s "msdfs:$targets" "$back/many/$name"; done < <(topology_many_links)
	# The two different paths of the link "prefix" lead to the same storage.
	mount --bind "$back/share1/a/b" "$back/t2-share2/r/data"
	echo "common" >"$back/share1/which"
	echo "deep" >"$back/share1/deep/which"
	echo "deeper" >"$back/share1/deep/er/which"
	echo "prefix" >"$back/share1/a/b/which"
	for s in dfstest domain ns plain guest dfs2 dfs3 many; do
		[[ ! -d $back/$s ]] || echo "$s" >"$back/$s/which"
	done
	echo "namespace" >"$back/dfstest/which"
	echo "sub" >"$back/dfstest/sub/which"
	for s in t1 t2 t3; do echo "$s" >"$back/$s-share2/which"; done
	chmod -R a+rwX "$back"
}
