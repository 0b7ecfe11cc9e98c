/* New cgroups: what their ids are called. */

BPF_PERCPU_ARRAY(cgroup_scratch, struct scratch, 1);

/* cgroup_mkdir(cgroup, path) */
int on_cgroup(struct bpf_raw_tracepoint_args *ctx) {
#ifdef OFF_CG_KN
    u64 node = 0, root = 0;
    s32 hierarchy = 0;
    int zero = 0;
    long len;
    struct settings *set = settings();
    struct scratch *s = cgroup_scratch.lookup(&zero);
    struct file_parts p = {};
    if (!set || !s || !in_scope(set) || filtered_out(set, ACT_CGROUP, SRC_CGROUP0))
        return 0;
    p.action = ACT_CGROUP;
    p.task = bpf_get_current_task();
    READ(node, ctx->args[0] + OFF_CG_KN);
    READ(p.inode, node + OFF_KN_ID);
    READ(root, ctx->args[0] + OFF_CG_ROOT);
    READ(hierarchy, root + OFF_CG_HIERARCHY);
    p.numbers[0] = hierarchy;
    p.present = FILE_HAS_INODE | FILE_HAS_FIRST;
    len = bpf_probe_read_kernel_str(s->pack, 4096, (void *)ctx->args[1]);
    p.lens[0] = len > 0 ? len - 1 : 0;
    p.text_len = p.lens[0];
    return send_file(&p, s->pack, SRC_CGROUP0);
#else
    return 0;
#endif
}
