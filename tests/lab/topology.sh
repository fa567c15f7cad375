# SPDX-License-Identifier: GPL-2.0
# Who serves what: the "standalone" topology (sourced by scripts/lab).
#
#   root   10.123.0.10   \\root\dfstest     the namespace; \\root\plain is an ordinary share
#   t1     10.123.0.11   \\target1\share1   replicated storage: one folder, served by every target
#   t2     10.123.0.12   \\target2\share2   diverged replicas: a folder on each target
#   t3     10.123.0.13   \\target3\guest    open to guests; \\target3\dfs3 a namespace on a target
#
# User smbu/pw123 everywhere; smbu2/pw123 everywhere but on t1, where the password is another one.

SERVERS=(root t1 t2 t3)

server_number() { case $1 in root) echo 10 ;; t1) echo 11 ;; t2) echo 12 ;; t3) echo 13 ;; *) return 1 ;; esac; }
server_address() { echo "10.123.0.$(server_number "$1")"; }
server_name() { case $1 in t?) echo "target${1#t}" ;; *) echo "$1" ;; esac; }
is_server() { server_number "$1" >/dev/null || die "no server named $1 (root, t1, t2, t3)"; }

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
	LINKS
}

# The same as smbd wants it in the link: without the leading backslashes.
topology_link_texts() { topology_links | sed 's/\([ ,]\)\\/\1/g'; }

# Shares of one server: name, backing folder, further smb.conf lines separated by "|".
topology_shares() {
	case $1 in
	root)
		echo "dfstest dfstest msdfs root = yes"
		echo "plain plain"
		;;
	t3)
		echo "share1 share1"
		echo "share2 t3-share2"
		echo "guest guest guest ok = yes"
		echo "dfs3 dfs3 msdfs root = yes"
		;;
	*)
		echo "share1 share1"
		echo "share2 $1-share2"
		echo "readonly share1 read only = yes"
		;;
	esac
}

set_link() { # folder, name, targets (separated by ",")
	local link=$STATE/back/$1/$2
	mkdir -p "${link%/*}"
	ln -sfn "msdfs:$3" "$link"
}

topology_backing() {
	local back=$STATE/back name targets s
	mkdir -p "$back"/{dfstest/sub/plain,plain,share1/deep/er,share1/a/b,t1-share2,t2-share2/r/data,t3-share2,guest,dfs3}
	while read -r name targets; do set_link dfstest "$name" "$targets"; done < <(topology_link_texts)
	set_link dfs3 onward 'target1\share1,target2\share1'
	# The two different paths of the link "prefix" lead to the same storage.
	mount --bind "$back/share1/a/b" "$back/t2-share2/r/data"
	echo "common" >"$back/share1/which"
	echo "deep" >"$back/share1/deep/which"
	echo "deeper" >"$back/share1/deep/er/which"
	echo "prefix" >"$back/share1/a/b/which"
	echo "namespace" >"$back/dfstest/which"
	echo "sub" >"$back/dfstest/sub/which"
	echo "plain" >"$back/plain/which"
	echo "guest" >"$back/guest/which"
	echo "dfs3" >"$back/dfs3/which"
	for s in t1 t2 t3; do echo "$s" >"$back/$s-share2/which"; done
	chmod -R a+rwX "$back"
}
