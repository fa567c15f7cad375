/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What src/sys/helpers.c offers to Rust: C macros and inline functions behind
 * a name that can be called, and the sizes of the structs Rust embeds, as gcc
 * sees them (bindgen asks clang). No policy here.
 */
#ifndef RSDFS_HELPERS_H
#define RSDFS_HELPERS_H

#include <linux/types.h>

struct completion;
struct iov_iter;
struct net;
struct socket;
struct task_struct;
struct wait_queue_entry;
struct wait_queue_head;
struct workqueue_struct;

/* Sizes of embedded structs; sys::layout_check() compares them. */
struct rsdfs_sizes {
	size_t completion;
	size_t delayed_work;
	size_t iov_iter;
	size_t wait_queue_entry;
	size_t wait_queue_head;
	size_t md5_ctx;
	size_t hmac_md5_ctx;
	size_t hmac_sha256_ctx;
	size_t aes_cmac_key;
	size_t aes_cmac_ctx;
	size_t arc4_ctx;
	size_t sha512_ctx;
	size_t proc_ops;
	size_t attribute;
	size_t kobj_type;
	size_t kobject;
	size_t sysfs_ops;
};
extern const struct rsdfs_sizes rsdfs_sizes;

/* param: set before init, and not changed after it */
extern unsigned int rsdfs_cache_max;

/* global: one lock for all of them, held for a moment */
void rsdfs_global_lock(void);
void rsdfs_global_unlock(void);

/* net: namespaces */
struct net *rsdfs_net_current(void);
bool rsdfs_net_is_first(const struct net *net);
struct net *rsdfs_net_hold(struct net *net);
void rsdfs_net_put(struct net *net);
unsigned int rsdfs_net_inum(const struct net *net);

/* wait */
#define RSDFS_WAIT_KILLABLE 0
#define RSDFS_WAIT_IDLE 1
void rsdfs_waitqueue_init(struct wait_queue_head *head);
void rsdfs_waiter_init(struct wait_queue_entry *waiter);
long rsdfs_waiter_sleep(struct wait_queue_entry *waiters, unsigned int count,
			int state, long timeout);
void rsdfs_wake(struct wait_queue_head *head, int count);
bool rsdfs_nap(unsigned int ms);
bool rsdfs_fatal_signal(void);

/* thread */
struct task_struct *rsdfs_kthread_create(int (*fn)(void *), void *data,
					 const char *name);
void rsdfs_kthread_start(struct task_struct *task);
extern struct completion rsdfs_threads_ended;
unsigned int rsdfs_memalloc_nofs_save(void);
void rsdfs_memalloc_nofs_restore(unsigned int flags);

/* work */
#define RSDFS_WQ_MEM_RECLAIM 1
#define RSDFS_WQ_UNBOUND 2
struct workqueue_struct *rsdfs_workqueue(const char *name, unsigned int flags,
					 int max_active);
void rsdfs_delayed_work_init(struct delayed_work *work, work_func_t fn);

/* socket: what rsdfs_sock_poll() says */
#define RSDFS_SOCK_READABLE 1	/* data, the end of it, or an error */
#define RSDFS_SOCK_WRITABLE 2	/* sending does not block */
#define RSDFS_SOCK_BROKEN 8	/* an error, or not connected */
int rsdfs_sock_create(struct net *net, bool v6, unsigned int user_timeout_ms,
		      struct socket **sock);
int rsdfs_udp_create(struct net *net, bool v6, struct socket **sock);
int rsdfs_sock_connect(struct socket *sock, bool v6, const u8 *addr, u16 port,
		       u32 scope);
unsigned int rsdfs_sock_poll(struct socket *sock);
struct wait_queue_head *rsdfs_sock_queue(struct socket *sock);
long rsdfs_sock_silent_ms(const struct socket *sock);
unsigned int rsdfs_sock_rtt_ms(const struct socket *sock);
u32 rsdfs_sock_written(const struct socket *sock);
bool rsdfs_sock_acked(const struct socket *sock, u32 end);
void rsdfs_sock_abort(struct socket *sock);
int rsdfs_sock_send(struct socket *sock, const void *data, size_t len,
		    bool more);
int rsdfs_sock_send_iter(struct socket *sock, struct iov_iter *iter,
			 size_t len, bool splice, bool more);
int rsdfs_sock_recv(struct socket *sock, void *data, size_t len);
int rsdfs_sock_recv_iter(struct socket *sock, struct iov_iter *iter,
			 size_t len);

/* file: as the current task sees it */
long rsdfs_read_file(const char *path, void *buffer, size_t len);

/* iter */
bool rsdfs_iter_is_kernel(const struct iov_iter *iter);
bool rsdfs_iter_has_pages(const struct iov_iter *iter);
bool rsdfs_iter_is_source(const struct iov_iter *iter);
size_t rsdfs_iter_count(const struct iov_iter *iter);
void rsdfs_iter_truncate(struct iov_iter *iter, size_t len);
size_t rsdfs_iter_copy_to(const void *from, size_t len, struct iov_iter *iter);
size_t rsdfs_iter_walk(struct iov_iter *iter, size_t len, void *context,
		       size_t (*step)(void *base, size_t progress, size_t len,
				      void *context, void *unused));

/* crypto */
struct aes_cmac_ctx;
struct aes_cmac_key;
struct hmac_md5_ctx;
struct hmac_sha256_ctx;
struct sha512_ctx;
void rsdfs_aes_cmac_init(struct aes_cmac_ctx *ctx,
			 const struct aes_cmac_key *key);
void rsdfs_hmac_sha256_update(struct hmac_sha256_ctx *ctx, const u8 *data,
			      size_t len);
void rsdfs_hmac_md5_update(struct hmac_md5_ctx *ctx, const u8 *data,
			   size_t len);
void rsdfs_sha512_update(struct sha512_ctx *ctx, const u8 *data, size_t len);
void rsdfs_zero(void *data, size_t len);

/* cred: ids in the initial user namespace */
u32 rsdfs_current_uid(void);
u32 rsdfs_current_gid(void);

/* proc */
void *rsdfs_file_pde_data(const struct file *file);

/* trace: src/sys/trace.c; a text need not be terminated */
struct rsdfs_text {
	const char *at;
	size_t len;
};
bool rsdfs_referral_traced(void);
void rsdfs_trace_referral(struct rsdfs_text path, struct rsdfs_text host,
			  struct rsdfs_text kind, u32 ttl, u32 targets,
			  u32 status, int error, u64 us);
bool rsdfs_target_probe_traced(void);
void rsdfs_trace_target_probe(struct rsdfs_text target, int error, u64 us);
bool rsdfs_target_switch_traced(void);
void rsdfs_trace_target_switch(struct rsdfs_text path, struct rsdfs_text from,
			       struct rsdfs_text to, struct rsdfs_text reason,
			       u64 us);
bool rsdfs_reconnect_traced(void);
void rsdfs_trace_reconnect(struct rsdfs_text path, struct rsdfs_text reason,
			   u64 generation, u64 us);
bool rsdfs_file_lost_traced(void);
void rsdfs_trace_file_lost(struct rsdfs_text path, struct rsdfs_text file,
			   struct rsdfs_text cause);

/* fs: the file system side adds its own below */

struct dir_context;
struct file_lock;
struct fs_context;
struct inode;
struct kmem_cache;
struct kstatfs;
struct netfs_io_subrequest;
struct netfs_request_ops;
struct seq_file;
struct super_block;
struct vfsmount;

/* Constants whose macros bindgen cannot read. */
enum rsdfs_fs {
	RSDFS_IOCB_DSYNC = 0x2,
	RSDFS_IOCB_SYNC = 0x4,
	RSDFS_LOOKUP_REVAL = 0x80,
	RSDFS_LOOKUP_RCU = 0x100,
	RSDFS_LOOKUP_OPEN = 0x10000,
	RSDFS_LOOKUP_CREATE = 0x20000,
	RSDFS_LOOKUP_RENAME_TARGET = 0x80000,
	RSDFS_FMODE_OPENED = 0x80000,
	RSDFS_FMODE_CREATED = 0x100000,
	RSDFS_SB_NOATIME = 0x400,
	RSDFS_S_AUTOMOUNT = 0x800,
};

/* Sizes of the structs that the fs bindings look into. */
struct rsdfs_fs_sizes {
	size_t address_space_operations;
	size_t dentry;
	size_t dentry_operations;
	size_t file;
	size_t file_operations;
	size_t file_system_type;
	size_t fs_context;
	size_t fs_context_operations;
	size_t fs_parameter;
	size_t iattr;
	size_t inode;
	size_t inode_operations;
	size_t kstat;
	size_t kstatfs;
	size_t netfs_inode;
	size_t netfs_io_request;
	size_t netfs_io_subrequest;
	size_t netfs_request_ops;
	size_t super_block;
	size_t super_operations;
	size_t vm_operations_struct;
};
extern const struct rsdfs_fs_sizes rsdfs_fs_sizes;

/* fs context */
void rsdfs_fc_error(struct fs_context *fc, const char *text, size_t len);
int rsdfs_fc_purpose(const struct fs_context *fc);
bool rsdfs_param_is_flag(const struct fs_parameter *param);
const char *rsdfs_param_string(const struct fs_parameter *param);
int rsdfs_get_tree(struct fs_context *fc,
		   int (*fill)(struct super_block *, struct fs_context *));

/* automounts */
int rsdfs_fc_submount(struct fs_context *fc, const struct super_block *above,
		      const char *source, size_t len);
struct vfsmount *rsdfs_fc_mount(struct fs_context *fc);
void rsdfs_automount_add(struct vfsmount *mnt);
bool rsdfs_automount_any(void);
void rsdfs_automount_expire(void);
unsigned int rsdfs_automount_expiry(void);

/* super block */
struct module *rsdfs_module(void);
struct kmem_cache *rsdfs_inode_cache(const char *name, size_t size,
				     void (*ctor)(void *));
void *rsdfs_inode_alloc(struct super_block *sb, struct kmem_cache *cache);
void rsdfs_mapping_error(struct address_space *mapping, int error);
void rsdfs_start_writeback(struct super_block *sb);
void rsdfs_netfs_keep_dirty(struct netfs_io_subrequest *subreq);
int rsdfs_super_setup(struct super_block *sb, size_t read_ahead);

/* inode; the times are seconds and nanoseconds since 1970 */
struct rsdfs_attr {
	u16 mode;
	u32 uid;
	u32 gid;
	u32 nlink;
	u64 blocks;
	s64 atime;
	s64 mtime;
	s64 ctime;
	u32 atime_nsec;
	u32 mtime_nsec;
	u32 ctime_nsec;
	bool times;
};
void rsdfs_inode_attr(struct inode *inode, const struct rsdfs_attr *attr);
void rsdfs_inode_netfs(struct inode *inode, const struct netfs_request_ops *ops,
		       bool unbuffered);
void rsdfs_inode_go_around(struct inode *inode, bool around);
bool rsdfs_inode_goes_around(struct inode *inode);
u64 rsdfs_inode_size(const struct inode *inode);
void rsdfs_inode_set_size(struct inode *inode, u64 size);
bool rsdfs_inode_replace_size(struct inode *inode, u64 old, u64 size);
bool rsdfs_inode_is_new(struct inode *inode);
void rsdfs_inode_resize(struct inode *inode, u64 size);
void rsdfs_inode_evict(struct inode *inode);
bool rsdfs_inode_dirty(struct inode *inode);
int rsdfs_inode_sync(struct inode *inode, s64 start, s64 end);
int rsdfs_file_error(struct file *file);
bool rsdfs_killed(void);
/* file locks */
#define RSDFS_LOCK_NONE 0
#define RSDFS_LOCK_SHARED 1
#define RSDFS_LOCK_EXCLUSIVE 2
struct rsdfs_lock {
	u64 owner;
	u64 start;
	u64 last; /* included */
	unsigned int type; /* RSDFS_LOCK_* */
	bool flock;
	bool sleep;
};
void rsdfs_lock_read(const struct file_lock *fl, struct rsdfs_lock *out);
int rsdfs_lock_local(struct file *file, struct file_lock *fl, bool look,
		     bool sleep);
bool rsdfs_lock_test(struct file *file, struct file_lock *fl);
void rsdfs_lock_answer(struct file_lock *fl, unsigned int type);
void rsdfs_inode_drop_link(struct inode *inode, bool all);
void rsdfs_inode_hold(struct inode *inode);

/* dentry, directory */
bool rsdfs_dentry_in_lookup(const struct dentry *dentry);
bool rsdfs_dentry_mounted(const struct dentry *dentry);
bool rsdfs_dir_emit(struct dir_context *ctx, const char *name, u32 len, u64 ino,
		    unsigned int type);
bool rsdfs_dir_emit_dots(struct file *file, struct dir_context *ctx);

/* netfs */
void rsdfs_netfs_read_done(struct netfs_io_subrequest *subreq, size_t len,
			   int error);
void rsdfs_netfs_write_done(struct netfs_io_subrequest *subreq, ssize_t result);

#endif /* RSDFS_HELPERS_H */
