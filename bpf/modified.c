/* The first time that a process image changes what a file holds: by a write of any kind, a mapping, a truncation. */

BPF_PERCPU_ARRAY(dirty_scratch, struct scratch, 1);

/* Whether the task is at an instruction of its own, as in a page fault, and in no system call. */
static __always_inline int in_own_code(void) {
#if HAS_TASK_REGS
    u64 regs = bpf_task_pt_regs(bpf_get_current_task_btf()), call = 0;
    READ(call, regs + OFF_R_ORIG_AX);
    return call == -1;
#else
    return 0;
#endif
}

/* Whether the content changed. Pages alone are marked by nothing else, in a file system that marks them. A write sets
 * the times of content and of change to the same one, later than that of the last access; neither reading nor changing
 * attributes does. All three are the same where a file is read in the tick of its last write, and where its mapping is
 * written to in the tick in which it was made: that is no system call. A file in memory that is written in the tick of
 * its creation is not marked at all. */
static __always_inline int content_changed(u64 inode, u64 flags) {
    u64 atime = 0, mtime = 0, ctime = 0;
    u32 atime_ns = 0, mtime_ns = 0, ctime_ns = 0;
    if ((u32)flags == DIRTY_PAGES)
        return 1;
    READ(mtime, inode + OFF_I_MTIME);
    READ(ctime, inode + OFF_I_CTIME);
    READ(mtime_ns, inode + OFF_I_MTIME_NSEC);
    READ(ctime_ns, inode + OFF_I_CTIME_NSEC);
    if (mtime != ctime || mtime_ns != ctime_ns)
        return 0;
    READ(atime, inode + OFF_I_ATIME);
    READ(atime_ns, inode + OFF_I_ATIME_NSEC);
    if (mtime == atime && mtime_ns == atime_ns)
        return in_own_code();
    return mtime > atime || (mtime == atime && mtime_ns > atime_ns);
}

#ifdef OFF_MNT_INSTANCE
#define NEXT_MOUNT OFF_MNT_INSTANCE
#elif defined(OFF_MNT_NEXT)
#define NEXT_MOUNT OFF_MNT_NEXT
#else
#define NEXT_MOUNT 0
#endif

/* The next mount of a file system, from its list head or from a mount: a list, or since 6.18 a chain. */
static __always_inline u64 mount_after(u64 at) {
    u64 next = 0;
    READ(next, at);
#ifdef OFF_MNT_INSTANCE
    next -= OFF_MNT_INSTANCE;
#endif
    return next;
}

/* A mount that shows the whole file system, rather one of the writer's namespace. */
static __always_inline u64 mount_of(u64 task, u64 sb) {
    u64 root = 0, nsproxy = 0, own = 0, mount = mount_after(sb + OFF_S_MOUNTS), best = 0;
    READ(root, sb + OFF_S_ROOT);
#ifdef OFF_NS_MNT
    READ(nsproxy, task + OFF_NSPROXY);
    if (nsproxy)
        READ(own, nsproxy + OFF_NS_MNT);
#endif
#pragma unroll
    for (int i = 0; i < 8; i++) {
        u64 at = 0, ns = 0;
        if (!mount)
            break;
#ifdef OFF_MNT_INSTANCE
        if (mount + OFF_MNT_INSTANCE == sb + OFF_S_MOUNTS)
            break;
#endif
        READ(at, mount + OFF_MNT + OFF_MNT_ROOT);
        READ(ns, mount + OFF_MNT_NS);
        if (at == root && ns == own)
            return mount;
        if (!best)
            best = mount;
        mount = NEXT_MOUNT ? mount_after(mount + NEXT_MOUNT) : 0;
    }
    return best;
}

/* writeback_mark_inode_dirty(inode, flags), in the context of who does it; kernel threads only pass on what others
 * did. */
int on_dirty(struct bpf_raw_tracepoint_args *ctx) {
    u64 inode = ctx->args[0], task = bpf_get_current_task(), mm = 0, sb = 0, dentry = 0, mount, pos;
    int zero = 0;
    struct settings *set;
    struct scratch *s;
    struct file_parts p = {};
    if (!is_regular(inode) || !content_changed(inode, ctx->args[1]))
        return 0;
    READ(mm, task + OFF_MM);
    set = settings();
    s = dirty_scratch.lookup(&zero);
    if (!mm || !set || !s || !in_scope(set))
        return 0;
    read_inode(&p, inode);
    p.action = ACT_MODIFICATION;
    if (!first_change(task, inode, &p) || unwanted(set, p.action, SRC_DIRTY0))
        return 0;
    p.task = task;
    READ(sb, inode + OFF_I_SB);
    READ(dentry, inode + OFF_I_DENTRY);
    mount = mount_of(task, sb);
    p.text_len = dentry && mount ? walk_from(s, mount + OFF_MNT, dentry - OFF_D_ALIAS) : 0;
    p.lens[0] = p.text_len;
    if (dentry && mount && s->truncated)
        p.flags = FLAG_TRUNCATED_PATH;
    pos = PATH_END - p.text_len;
    asm volatile("%0 &= 4095" : "+r"(pos));
    return send_file(&p, &s->path[pos], SRC_DIRTY0);
}
