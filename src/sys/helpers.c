// SPDX-License-Identifier: GPL-2.0
/*
 * C macros and inline functions behind names that Rust can call, see
 * include/helpers.h. Nothing here decides anything.
 */
#include <linux/backing-dev.h>
#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/folio_batch.h>
#include <linux/fs.h>
#include <linux/iov_iter.h>
#include <linux/kobject.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/proc_fs.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <linux/uidgid.h>
#include <linux/uio.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>
#include <linux/writeback.h>
#include <linux/workqueue.h>
#include <crypto/aes-cbc-macs.h>
#include <crypto/arc4.h>
#include <crypto/md5.h>
#include <crypto/sha2.h>
#include <crypto/utils.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "bindings.h"

const struct rsdfs_sizes rsdfs_sizes = {
	.completion = sizeof(struct completion),
	.delayed_work = sizeof(struct delayed_work),
	.iov_iter = sizeof(struct iov_iter),
	.wait_queue_entry = sizeof(struct wait_queue_entry),
	.wait_queue_head = sizeof(struct wait_queue_head),
	.md5_ctx = sizeof(struct md5_ctx),
	.hmac_md5_ctx = sizeof(struct hmac_md5_ctx),
	.hmac_sha256_ctx = sizeof(struct hmac_sha256_ctx),
	.aes_cmac_key = sizeof(struct aes_cmac_key),
	.aes_cmac_ctx = sizeof(struct aes_cmac_ctx),
	.arc4_ctx = sizeof(struct arc4_ctx),
	.sha512_ctx = sizeof(struct sha512_ctx),
	.proc_ops = sizeof(struct proc_ops),
	.attribute = sizeof(struct attribute),
	.kobj_type = sizeof(struct kobj_type),
	.kobject = sizeof(struct kobject),
	.sysfs_ops = sizeof(struct sysfs_ops),
};

/* param; module! has parameters too, but they do not show in /sys/module */

unsigned int rsdfs_cache_max = 64000;
module_param_named(cache_max, rsdfs_cache_max, uint, 0444);
MODULE_PARM_DESC(cache_max, "Referrals kept at most, 16 to 1048576 (default 64000)");

/* global */

static DEFINE_SPINLOCK(global_lock);

void rsdfs_global_lock(void)
{
	spin_lock(&global_lock);
}

void rsdfs_global_unlock(void)
{
	spin_unlock(&global_lock);
}

/* net: namespaces */

/* A task that is exiting has no namespaces any more. */
struct net *rsdfs_net_current(void)
{
	return get_net(current->nsproxy ? current->nsproxy->net_ns : &init_net);
}

bool rsdfs_net_is_first(const struct net *net)
{
	return net_eq(net, &init_net);
}

struct net *rsdfs_net_hold(struct net *net)
{
	return get_net(net);
}

void rsdfs_net_put(struct net *net)
{
	put_net(net);
}

unsigned int rsdfs_net_inum(const struct net *net)
{
	return net->ns.inum;
}

/* wait */

void rsdfs_waitqueue_init(struct wait_queue_head *head)
{
	init_waitqueue_head(head);
}

/*
 * woken_wake_function() for every kind of sleep: sockets wake up only
 * interruptible sleepers, and these here are killable or idle.
 */
static int rsdfs_waiter_woken(struct wait_queue_entry *waiter,
			      unsigned int mode, int sync, void *key)
{
	smp_mb(); /* pairs with smp_store_mb() in rsdfs_waiter_sleep() */
	waiter->flags |= WQ_FLAG_WOKEN;
	return default_wake_function(waiter, TASK_NORMAL, sync, key);
}

void rsdfs_waiter_init(struct wait_queue_entry *waiter)
{
	init_waitqueue_func_entry(waiter, rsdfs_waiter_woken);
	waiter->private = current;
	INIT_LIST_HEAD(&waiter->entry);
}

/*
 * wait_woken() for a task that waits in several queues at once. The condition
 * is evaluated by the caller in TASK_RUNNING, so it may sleep; a wake-up that
 * arrives meanwhile is kept in WQ_FLAG_WOKEN. Returns the jiffies left.
 *
 * Nobody kills a kernel thread: its sleep is idle, and no load.
 *
 * Tasks wait for servers with the VFS's locks held, such as a directory's, as
 * they do on any network file system; without leave to freeze there, one server
 * that does not answer would keep the machine from being suspended. "Unsafe"
 * says to lockdep that this is meant: who waits for such a lock is not frozen,
 * so suspending can fail in that case.
 */
long rsdfs_waiter_sleep(struct wait_queue_entry *waiters, unsigned int count,
			int state, long timeout)
{
	bool idle = state == RSDFS_WAIT_IDLE || current->flags & PF_KTHREAD;
	unsigned int woken = 0, i;

	set_current_state(idle ? TASK_IDLE :
				 TASK_KILLABLE | TASK_FREEZABLE_UNSAFE);
	for (i = 0; i < count; i++)
		woken |= READ_ONCE(waiters[i].flags) & WQ_FLAG_WOKEN;
	if (!woken)
		timeout = schedule_timeout(timeout);
	__set_current_state(TASK_RUNNING);
	for (i = 0; i < count; i++)
		smp_store_mb(waiters[i].flags, waiters[i].flags & ~WQ_FLAG_WOKEN);
	return timeout;
}

void rsdfs_wake(struct wait_queue_head *head, int count)
{
	__wake_up(head, TASK_NORMAL, count, NULL);
}

/*
 * Sleeps; false if a signal, of any kind, has come before or meanwhile. Only
 * for tasks that hold no lock: they may be frozen.
 */
bool rsdfs_nap(unsigned int ms)
{
	__set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	schedule_timeout(msecs_to_jiffies(ms));
	return !signal_pending(current);
}

bool rsdfs_fatal_signal(void)
{
	return fatal_signal_pending(current);
}

/* thread */

struct task_struct *rsdfs_kthread_create(int (*fn)(void *), void *data,
					 const char *name)
{
	return kthread_create(fn, data, "%s", name);
}

void rsdfs_kthread_start(struct task_struct *task)
{
	wake_up_process(task);
}

/* Completed once by each thread. */
DECLARE_COMPLETION(rsdfs_threads_ended);

unsigned int rsdfs_memalloc_nofs_save(void)
{
	return memalloc_nofs_save();
}

void rsdfs_memalloc_nofs_restore(unsigned int flags)
{
	memalloc_nofs_restore(flags);
}

/* work */

struct workqueue_struct *rsdfs_workqueue(const char *name, unsigned int flags,
					 int max_active)
{
	unsigned int wq = 0;

	if (flags & RSDFS_WQ_MEM_RECLAIM)
		wq |= WQ_MEM_RECLAIM;
	wq |= flags & RSDFS_WQ_UNBOUND ? WQ_UNBOUND : WQ_PERCPU;
	return alloc_workqueue("%s", wq, max_active, name);
}

void rsdfs_delayed_work_init(struct delayed_work *work, work_func_t fn)
{
	INIT_DELAYED_WORK(work, fn);
}

/* socket */

int rsdfs_sock_create(struct net *net, bool v6, unsigned int user_timeout_ms,
		      struct socket **sock)
{
	struct sock *sk;
	int ret = sock_create_kern(net, v6 ? AF_INET6 : AF_INET, SOCK_STREAM,
				   IPPROTO_TCP, sock);

	if (ret)
		return ret;
	sk = (*sock)->sk;
	/* The socket may outlive its owner for a while: keep its namespace. */
	sk_net_refcnt_upgrade(sk);
	sk->sk_allocation = GFP_NOFS;
	sk->sk_use_task_frag = false;
	tcp_sock_set_nodelay(sk);
	if (user_timeout_ms)
		tcp_sock_set_user_timeout(sk, user_timeout_ms);
	return 0;
}

int rsdfs_udp_create(struct net *net, bool v6, struct socket **sock)
{
	int ret = sock_create_kern(net, v6 ? AF_INET6 : AF_INET, SOCK_DGRAM,
				   IPPROTO_UDP, sock);

	if (ret)
		return ret;
	sk_net_refcnt_upgrade((*sock)->sk);
	(*sock)->sk->sk_allocation = GFP_NOFS;
	(*sock)->sk->sk_use_task_frag = false;
	return 0;
}

/* Does not wait: 0, -EINPROGRESS, or what went wrong. */
int rsdfs_sock_connect(struct socket *sock, bool v6, const u8 *addr, u16 port,
		       u32 scope)
{
	struct sockaddr_storage to = {};
	int len;

	if (v6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		in6->sin6_scope_id = scope;
		memcpy(&in6->sin6_addr, addr, sizeof(in6->sin6_addr));
		len = sizeof(*in6);
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)&to;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, addr, sizeof(in->sin_addr));
		len = sizeof(*in);
	}
	return kernel_connect(sock, (struct sockaddr_unsized *)&to, len,
			      O_NONBLOCK);
}

/* RSDFS_SOCK_* bits, without queueing anywhere. */
unsigned int rsdfs_sock_poll(struct socket *sock)
{
	__poll_t poll = tcp_poll(NULL, sock, NULL);

	return (poll & EPOLLIN ? RSDFS_SOCK_READABLE : 0) |
	       (poll & EPOLLOUT ? RSDFS_SOCK_WRITABLE : 0) |
	       (poll & (EPOLLERR | EPOLLHUP) ? RSDFS_SOCK_BROKEN : 0);
}

struct wait_queue_head *rsdfs_sock_queue(struct socket *sock)
{
	return &sock->wq.wait;
}

/*
 * Milliseconds since the last ACK while some are owed, or -1 if none is. Racy
 * reads, as in tcp_get_info() of a busy socket: good enough to judge silence.
 */
long rsdfs_sock_silent_ms(const struct socket *sock)
{
	const struct tcp_sock *tp = tcp_sk(sock->sk);

	/* What waits for the peer's window was not sent yet. */
	if (READ_ONCE(tp->snd_nxt) == READ_ONCE(tp->snd_una))
		return -1;
	return jiffies_to_msecs(tcp_jiffies32 - READ_ONCE(tp->rcv_tstamp));
}

/* The smoothed round trip time, in milliseconds. */
unsigned int rsdfs_sock_rtt_ms(const struct socket *sock)
{
	return READ_ONCE(tcp_sk(sock->sk)->srtt_us) / (8 * USEC_PER_MSEC);
}

/* The place in the stream behind all that TCP was given to send. */
u32 rsdfs_sock_written(const struct socket *sock)
{
	return READ_ONCE(tcp_sk(sock->sk)->write_seq);
}

/* Whether the peer has acknowledged all before a place in the stream. */
bool rsdfs_sock_acked(const struct socket *sock, u32 end)
{
	return !before(READ_ONCE(tcp_sk(sock->sk)->snd_una), end);
}

/* Resets the connection; what was not acknowledged is forgotten, not sent again. */
void rsdfs_sock_abort(struct socket *sock)
{
	tcp_abort(sock->sk, ECONNABORTED);
}

static int rsdfs_sock_send_msg(struct socket *sock, struct msghdr *msg,
			       bool more)
{
	msg->msg_flags |= MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
	return sock_sendmsg(sock, msg);
}

int rsdfs_sock_send(struct socket *sock, const void *data, size_t len,
		    bool more)
{
	struct kvec vec = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = {};

	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, &vec, 1, len);
	return rsdfs_sock_send_msg(sock, &msg, more);
}

int rsdfs_sock_send_iter(struct socket *sock, struct iov_iter *iter,
			 size_t len, bool splice, bool more)
{
	struct msghdr msg = { .msg_iter = *iter };
	int ret;

	iov_iter_truncate(&msg.msg_iter, len);
	if (splice)
		msg.msg_flags |= MSG_SPLICE_PAGES;
	ret = rsdfs_sock_send_msg(sock, &msg, more);
	if (ret > 0)
		iov_iter_advance(iter, ret);
	return ret;
}

int rsdfs_sock_recv(struct socket *sock, void *data, size_t len)
{
	struct kvec vec = { .iov_base = data, .iov_len = len };
	struct msghdr msg = {};

	iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, len);
	return sock_recvmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int rsdfs_sock_recv_iter(struct socket *sock, struct iov_iter *iter,
			 size_t len)
{
	struct msghdr msg = { .msg_iter = *iter };
	int ret;

	iov_iter_truncate(&msg.msg_iter, len);
	ret = sock_recvmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (ret > 0)
		iov_iter_advance(iter, ret);
	return ret;
}

/* file */

/* The beginning of a file; its bytes are counted in the result. */
long rsdfs_read_file(const char *path, void *buffer, size_t len)
{
	struct file *file = filp_open(path, O_RDONLY | O_NONBLOCK, 0);
	size_t done = 0;
	ssize_t ret = 0;
	loff_t pos = 0;

	if (IS_ERR(file))
		return PTR_ERR(file);
	if (!S_ISREG(file_inode(file)->i_mode))
		ret = -EINVAL;
	while (!ret && done < len) {
		ret = kernel_read(file, buffer + done, len - done, &pos);
		if (ret <= 0)
			break;
		done += ret;
		ret = 0;
	}
	fput(file);
	return ret < 0 ? ret : (long)done;
}

/* iter */

bool rsdfs_iter_is_kernel(const struct iov_iter *iter)
{
	return iov_iter_is_kvec(iter) || iov_iter_is_bvec(iter) ||
	       iov_iter_is_folioq(iter) || iov_iter_is_xarray(iter);
}

/* Pages that TCP may refer to; those of slab objects it may not. */
bool rsdfs_iter_has_pages(const struct iov_iter *iter)
{
	unsigned long i;

	if (iov_iter_is_bvec(iter)) {
		for (i = 0; i < iter->nr_segs; i++)
			if (!sendpage_ok(iter->bvec[i].bv_page))
				return false;
		return true;
	}
	return iov_iter_is_folioq(iter) || iov_iter_is_xarray(iter);
}

bool rsdfs_iter_is_source(const struct iov_iter *iter)
{
	return iov_iter_rw(iter) == ITER_SOURCE;
}

size_t rsdfs_iter_count(const struct iov_iter *iter)
{
	return iov_iter_count(iter);
}

void rsdfs_iter_truncate(struct iov_iter *iter, size_t len)
{
	iov_iter_truncate(iter, len);
}

size_t rsdfs_iter_copy_to(const void *from, size_t len, struct iov_iter *iter)
{
	return copy_to_iter(from, len, iter);
}

size_t rsdfs_iter_walk(struct iov_iter *iter, size_t len, void *context,
		       size_t (*step)(void *base, size_t progress, size_t len,
				      void *context, void *unused))
{
	return iterate_and_advance_kernel(iter, len, context, NULL, step);
}

/* crypto */

void rsdfs_aes_cmac_init(struct aes_cmac_ctx *ctx,
			 const struct aes_cmac_key *key)
{
	aes_cmac_init(ctx, key);
}

void rsdfs_hmac_sha256_update(struct hmac_sha256_ctx *ctx, const u8 *data,
			      size_t len)
{
	hmac_sha256_update(ctx, data, len);
}

void rsdfs_hmac_md5_update(struct hmac_md5_ctx *ctx, const u8 *data,
			   size_t len)
{
	hmac_md5_update(ctx, data, len);
}

void rsdfs_sha512_update(struct sha512_ctx *ctx, const u8 *data, size_t len)
{
	sha512_update(ctx, data, len);
}

void rsdfs_zero(void *data, size_t len)
{
	memzero_explicit(data, len);
}

/* cred */

u32 rsdfs_current_uid(void)
{
	return from_kuid(&init_user_ns, current_uid());
}

u32 rsdfs_current_gid(void)
{
	return from_kgid(&init_user_ns, current_gid());
}

/* proc */

void *rsdfs_file_pde_data(const struct file *file)
{
	return pde_data(file_inode(file));
}

/* fs: the file system side adds its own below */

const struct rsdfs_fs_sizes rsdfs_fs_sizes = {
	.address_space_operations = sizeof(struct address_space_operations),
	.dentry = sizeof(struct dentry),
	.dentry_operations = sizeof(struct dentry_operations),
	.file = sizeof(struct file),
	.file_operations = sizeof(struct file_operations),
	.file_system_type = sizeof(struct file_system_type),
	.fs_context = sizeof(struct fs_context),
	.fs_context_operations = sizeof(struct fs_context_operations),
	.fs_parameter = sizeof(struct fs_parameter),
	.iattr = sizeof(struct iattr),
	.inode = sizeof(struct inode),
	.inode_operations = sizeof(struct inode_operations),
	.kstat = sizeof(struct kstat),
	.kstatfs = sizeof(struct kstatfs),
	.netfs_inode = sizeof(struct netfs_inode),
	.netfs_io_request = sizeof(struct netfs_io_request),
	.netfs_io_subrequest = sizeof(struct netfs_io_subrequest),
	.netfs_request_ops = sizeof(struct netfs_request_ops),
	.super_block = sizeof(struct super_block),
	.super_operations = sizeof(struct super_operations),
	.vm_operations_struct = sizeof(struct vm_operations_struct),
};

static_assert(RSDFS_IOCB_DSYNC == (__force int)IOCB_DSYNC);
static_assert(RSDFS_IOCB_SYNC == (__force int)IOCB_SYNC);
static_assert(RSDFS_LOOKUP_REVAL == LOOKUP_REVAL);
static_assert(RSDFS_LOOKUP_RCU == LOOKUP_RCU);
static_assert(RSDFS_LOOKUP_OPEN == LOOKUP_OPEN);
static_assert(RSDFS_LOOKUP_CREATE == LOOKUP_CREATE);
static_assert(RSDFS_LOOKUP_RENAME_TARGET == LOOKUP_RENAME_TARGET);
static_assert(RSDFS_FMODE_OPENED == (__force int)FMODE_OPENED);
static_assert(RSDFS_FMODE_CREATED == (__force int)FMODE_CREATED);
static_assert(RSDFS_SB_NOATIME == SB_NOATIME);
static_assert(RSDFS_S_AUTOMOUNT == S_AUTOMOUNT);

/* fs context */

void rsdfs_fc_error(struct fs_context *fc, const char *text, size_t len)
{
	errorf(fc, "rsdfs: %.*s", (int)len, text);
}

int rsdfs_fc_purpose(const struct fs_context *fc)
{
	return fc->purpose;
}

bool rsdfs_param_is_flag(const struct fs_parameter *param)
{
	return param->type == fs_value_is_flag;
}

const char *rsdfs_param_string(const struct fs_parameter *param)
{
	return param->type == fs_value_is_string ? param->string : NULL;
}

int rsdfs_get_tree(struct fs_context *fc,
		   int (*fill)(struct super_block *, struct fs_context *))
{
	return get_tree_nodev(fc, fill);
}

/* automounts */

static unsigned int automount_expiry = 300;
module_param(automount_expiry, uint, 0644);
MODULE_PARM_DESC(automount_expiry,
		 "Seconds after which an unused submount goes; 0 for never");

static LIST_HEAD(rsdfs_automounts);

/* A submount has the device's name, and the flags of the superblock above. */
int rsdfs_fc_submount(struct fs_context *fc, const struct super_block *above,
		      const char *source, size_t len)
{
	const unsigned int mask = SB_RDONLY | SB_SYNCHRONOUS | SB_DIRSYNC;

	fc->source = kmemdup_nul(source, len, GFP_KERNEL);
	if (!fc->source)
		return -ENOMEM;
	fc->sb_flags_mask |= mask;
	fc->sb_flags = (fc->sb_flags & ~mask) | (above->s_flags & mask);
	return 0;
}

struct vfsmount *rsdfs_fc_mount(struct fs_context *fc)
{
	return fc_mount(fc);
}

void rsdfs_automount_add(struct vfsmount *mnt)
{
	mnt_set_expiry(mnt, &rsdfs_automounts);
}

/* Racy, as in NFS: one that is added just now is seen the next time. */
bool rsdfs_automount_any(void)
{
	return !list_empty(&rsdfs_automounts);
}

/* Ends those not used since the last call. */
void rsdfs_automount_expire(void)
{
	mark_mounts_for_expiry(&rsdfs_automounts);
}

unsigned int rsdfs_automount_expiry(void)
{
	return READ_ONCE(automount_expiry);
}

/* super block */

struct module *rsdfs_module(void)
{
	return THIS_MODULE;
}

struct kmem_cache *rsdfs_inode_cache(const char *name, size_t size,
				     void (*ctor)(void *))
{
	return kmem_cache_create(name, size, 0,
				 SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT |
				 SLAB_NO_MERGE, ctor);
}

void *rsdfs_inode_alloc(struct super_block *sb, struct kmem_cache *cache)
{
	return alloc_inode_sb(sb, cache, GFP_KERNEL);
}

int rsdfs_super_setup(struct super_block *sb, size_t read_ahead)
{
	int err = super_setup_bdi(sb);

	if (err)
		return err;
	sb->s_bdi->ra_pages = read_ahead >> PAGE_SHIFT;
	sb->s_bdi->io_pages = read_ahead >> PAGE_SHIFT;
	return 0;
}

/* inode */

void rsdfs_inode_attr(struct inode *inode, const struct rsdfs_attr *attr)
{
	spin_lock(&inode->i_lock);
	inode->i_mode = attr->mode;
	inode->i_uid = make_kuid(&init_user_ns, attr->uid);
	inode->i_gid = make_kgid(&init_user_ns, attr->gid);
	inode->i_blocks = attr->blocks;
	if (inode->i_nlink != attr->nlink)
		set_nlink(inode, attr->nlink);
	if (attr->times) {
		inode_set_atime(inode, attr->atime, attr->atime_nsec);
		inode_set_mtime(inode, attr->mtime, attr->mtime_nsec);
		inode_set_ctime(inode, attr->ctime, attr->ctime_nsec);
	}
	spin_unlock(&inode->i_lock);
}

void rsdfs_inode_netfs(struct inode *inode, const struct netfs_request_ops *ops,
		       bool unbuffered)
{
	netfs_inode_init(netfs_inode(inode), ops, true);
	if (unbuffered)
		__set_bit(NETFS_ICTX_UNBUFFERED, &netfs_inode(inode)->flags);
	else if (S_ISREG(inode->i_mode))
		mapping_set_large_folios(inode->i_mapping);
	/* A page must not change between being signed and being sent. */
	if (S_ISREG(inode->i_mode))
		mapping_set_stable_writes(inode->i_mapping);
}

void rsdfs_inode_go_around(struct inode *inode, bool around)
{
	if (around)
		set_bit(NETFS_ICTX_UNBUFFERED, &netfs_inode(inode)->flags);
	else
		clear_bit(NETFS_ICTX_UNBUFFERED, &netfs_inode(inode)->flags);
}

bool rsdfs_inode_goes_around(struct inode *inode)
{
	return test_bit(NETFS_ICTX_UNBUFFERED, &netfs_inode(inode)->flags);
}

u64 rsdfs_inode_size(const struct inode *inode)
{
	return i_size_read(inode);
}

/* The size that the server told; nothing is dirty. */
void rsdfs_inode_set_size(struct inode *inode, u64 size)
{
	spin_lock(&inode->i_lock);
	netfs_write_sizes(inode, size, size, size);
	spin_unlock(&inode->i_lock);
}

/* As above, unless the size changed since it was `old`. */
bool rsdfs_inode_replace_size(struct inode *inode, u64 old, u64 size)
{
	bool same;

	spin_lock(&inode->i_lock);
	same = i_size_read(inode) == old;
	if (same)
		netfs_write_sizes(inode, size, size, size);
	spin_unlock(&inode->i_lock);
	return same;
}

/* For the task that got the inode from iget5_locked(). */
bool rsdfs_inode_is_new(struct inode *inode)
{
	return inode_state_read_once(inode) & I_NEW;
}

/* After the server truncated or extended the file; i_rwsem is held. */
void rsdfs_inode_resize(struct inode *inode, u64 size)
{
	u64 old, blocks = DIV_ROUND_UP(size, 512);

	netfs_resize_file(netfs_inode(inode), size, true);
	spin_lock(&inode->i_lock);
	old = i_size_read(inode);
	i_size_write(inode, size);
	if (size < old && inode->i_blocks > blocks)
		inode->i_blocks = blocks;
	spin_unlock(&inode->i_lock);
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
	if (size > old)
		pagecache_isize_extended(inode, old, size);
	truncate_pagecache(inode, size);
}

void rsdfs_inode_evict(struct inode *inode)
{
	netfs_wait_for_outstanding_io(inode);
	truncate_inode_pages_final(&inode->i_data);
	netfs_clear_inode_writeback(inode, NULL);
	clear_inode(inode);
}

bool rsdfs_inode_dirty(struct inode *inode)
{
	return mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK);
}

void rsdfs_mapping_error(struct address_space *mapping, int error)
{
	mapping_set_error(mapping, error);
}

void rsdfs_start_writeback(struct super_block *sb)
{
	try_to_writeback_inodes_sb(sb, WB_REASON_SYNC);
}

/*
 * What a subrequest of writeback could not write stays dirty. Folios of which only a part is there
 * (netfslib's streaming writes) are not: it forgets which part when it ends their writeback.
 */
void rsdfs_netfs_keep_dirty(struct netfs_io_subrequest *subreq)
{
	struct address_space *mapping = subreq->rreq->mapping;
	pgoff_t index = subreq->start >> PAGE_SHIFT;
	pgoff_t last = (subreq->start + subreq->len - 1) >> PAGE_SHIFT;

	if (subreq->rreq->origin != NETFS_WRITEBACK || !subreq->len)
		return;
	while (index <= last) {
		struct folio *folio = filemap_get_folio(mapping, index);

		if (IS_ERR(folio)) {
			index++;
			continue;
		}
		index = folio_next_index(folio);
		if (folio_test_writeback(folio) && folio_test_uptodate(folio))
			filemap_dirty_folio(mapping, folio);
		folio_put(folio);
	}
}

/* As filemap_fdatawait_range() without the error, but ends with a kill. */
static int rsdfs_wait_writeback(struct address_space *mapping, loff_t start,
				loff_t end)
{
	pgoff_t index = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
	struct folio_batch batch;
	int err = 0;

	folio_batch_init(&batch);
	while (!err && filemap_get_folios_tag(mapping, &index, last,
					      PAGECACHE_TAG_WRITEBACK, &batch)) {
		for (unsigned int i = 0; !err && i < folio_batch_count(&batch); i++)
			err = folio_wait_writeback_killable(batch.folios[i]);
		folio_batch_release(&batch);
		cond_resched();
	}
	return err;
}

/*
 * Writes the range back and waits for it, killably. netfslib runs one
 * writeback of a file at a time and waits for its turn uninterruptibly, so
 * what is under way is waited for first.
 */
int rsdfs_inode_sync(struct inode *inode, s64 start, s64 end)
{
	struct address_space *mapping = inode->i_mapping;
	int err;

	if (!mapping->nrpages)
		return 0;
	err = rsdfs_wait_writeback(mapping, 0, LLONG_MAX);
	if (!err)
		err = filemap_fdatawrite_range(mapping, start, end);
	if (!err)
		err = rsdfs_wait_writeback(mapping, start, end);
	return err;
}

/* What writeback failed with since this file looked last. */
int rsdfs_file_error(struct file *file)
{
	return file_check_and_advance_wb_err(file);
}

/* The task was killed: also true while it exits. */
bool rsdfs_killed(void)
{
	if (fatal_signal_pending(current))
		return true;
	return (current->flags & PF_EXITING) &&
	       (current->signal->flags & SIGNAL_GROUP_EXIT) &&
	       (current->signal->group_exit_code & 0x7f) == SIGKILL;
}

/* file locks: struct file_lock is laid out at random, so Rust does not look into it */

void rsdfs_lock_read(const struct file_lock *fl, struct rsdfs_lock *out)
{
	*out = (struct rsdfs_lock) {
		.owner = (unsigned long)fl->c.flc_owner,
		.start = fl->fl_start,
		.last = fl->fl_end,
		.type = fl->c.flc_type == F_UNLCK ? RSDFS_LOCK_NONE :
			fl->c.flc_type == F_RDLCK ? RSDFS_LOCK_SHARED :
						    RSDFS_LOCK_EXCLUSIVE,
		.flock = fl->c.flc_flags & FL_FLOCK,
		.sleep = fl->c.flc_flags & FL_SLEEP,
	};
}

/* Looks (@look), or locks and unlocks, in the lists of this machine; waits if @sleep. */
int rsdfs_lock_local(struct file *file, struct file_lock *fl, bool look,
		     bool sleep)
{
	unsigned int flags = fl->c.flc_flags;
	int ret;

	fl->c.flc_flags &= ~(FL_ACCESS | FL_SLEEP);
	fl->c.flc_flags |= (look ? FL_ACCESS : 0) | (sleep ? FL_SLEEP : 0);
	ret = locks_lock_inode_wait(file_inode(file), fl);
	fl->c.flc_flags = flags;
	return ret;
}

/* Whether a lock of this machine is in the way of a fcntl lock; then @fl is that lock. */
bool rsdfs_lock_test(struct file *file, struct file_lock *fl)
{
	unsigned char type = fl->c.flc_type;

	posix_test_lock(file, fl);
	if (fl->c.flc_type != F_UNLCK)
		return true;
	fl->c.flc_type = type;
	return false;
}

/* The answer to F_GETLK: nothing is in the way, or a lock of another machine. */
void rsdfs_lock_answer(struct file_lock *fl, unsigned int type)
{
	fl->c.flc_type = type == RSDFS_LOCK_NONE ? F_UNLCK :
			 type == RSDFS_LOCK_SHARED ? F_RDLCK : F_WRLCK;
	fl->c.flc_pid = -1;
}

void rsdfs_inode_drop_link(struct inode *inode, bool all)
{
	spin_lock(&inode->i_lock);
	if (all || inode->i_nlink <= 1)
		clear_nlink(inode);
	else
		drop_nlink(inode);
	spin_unlock(&inode->i_lock);
}

void rsdfs_inode_hold(struct inode *inode)
{
	ihold(inode);
}

/* dentry, directory */

bool rsdfs_dentry_in_lookup(const struct dentry *dentry)
{
	return d_in_lookup(dentry);
}

bool rsdfs_dentry_mounted(const struct dentry *dentry)
{
	return d_mountpoint(dentry);
}

bool rsdfs_dir_emit(struct dir_context *ctx, const char *name, u32 len, u64 ino,
		    unsigned int type)
{
	return dir_emit(ctx, name, len, ino, type);
}

bool rsdfs_dir_emit_dots(struct file *file, struct dir_context *ctx)
{
	return dir_emit_dots(file, ctx);
}

/* netfs */

/*
 * A server may answer with less than was asked for: only nothing at all, or the
 * end as the server told it last, means that the file ends there.
 */
void rsdfs_netfs_read_done(struct netfs_io_subrequest *subreq, size_t len,
			   int error)
{
	enum netfs_io_origin origin = subreq->rreq->origin;

	if (origin != NETFS_UNBUFFERED_READ && origin != NETFS_DIO_READ)
		__set_bit(NETFS_SREQ_CLEAR_TAIL, &subreq->flags);
	if (!error) {
		if (len > subreq->len - subreq->transferred)
			len = subreq->len - subreq->transferred;
		subreq->transferred += len;
		if (len)
			__set_bit(NETFS_SREQ_MADE_PROGRESS, &subreq->flags);
		if (subreq->transferred < subreq->len &&
		    (!len || subreq->start + subreq->transferred >=
				     netfs_read_remote_i_size(subreq->rreq->inode)))
			__set_bit(NETFS_SREQ_HIT_EOF, &subreq->flags);
	}
	subreq->error = error;
	netfs_read_subreq_terminated(subreq);
}

void rsdfs_netfs_write_done(struct netfs_io_subrequest *subreq, ssize_t result)
{
	struct inode *inode = subreq->rreq->inode;
	struct netfs_inode *ictx = netfs_inode(inode);

	if (result > 0) {
		u64 end = subreq->start + subreq->transferred + result;

		spin_lock(&inode->i_lock);
		if (end > inode->i_size || end > ictx->_remote_i_size)
			netfs_write_sizes(inode, umax(end, inode->i_size),
					  umax(end, ictx->_remote_i_size),
					  ictx->_zero_point);
		spin_unlock(&inode->i_lock);
		__set_bit(NETFS_SREQ_MADE_PROGRESS, &subreq->flags);
	}
	netfs_write_subrequest_terminated(subreq, result);
}
