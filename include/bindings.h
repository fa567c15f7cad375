/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The input of bindgen: just the headers whose types or functions
 * kernel::bindings lacks. The files bindgen looks into are listed in Kbuild
 * (a folder of <linux/...> or <crypto/...> names) and single items in
 * bindgen_parameters, both next to this file's rule.
 */
#ifndef RSDFS_BINDINGS_H
#define RSDFS_BINDINGS_H

/* sys: sockets, threads, waits, proc, crypto, names */
#include <crypto/aes.h>
#include <crypto/aes-cbc-macs.h>
#include <crypto/arc4.h>
#include <crypto/md5.h>
#include <crypto/sha2.h>
#include <linux/completion.h>
#include <linux/dns_resolver.h>
#include <linux/kthread.h>
#include <linux/net.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/* sys::fs: the file system side */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/netfs.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/statfs.h>

#include "helpers.h"

#endif /* RSDFS_BINDINGS_H */
