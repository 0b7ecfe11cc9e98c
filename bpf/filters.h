/* Filters: what a recording need not hold of whom. */

#define BY_COMM 1
#define BY_UID 2
#define BY_PORT 4
#define BY_PATH 8
#define BY_CGROUP 16
#define KEEPS(by) ((by) << 8)

/* Values of the filters: 1 keeps, 0 drops. Of paths the longest one decides, of cgroups the innermost. */
struct comm_key { char comm[16]; };
struct path_key { u32 bits; char text[256]; };
struct cgroup_filter { u64 id; u32 level, keeps; };
#define CGROUP_FILTERS 4
BPF_HASH(filter_comms, struct comm_key, u8, 1024);
BPF_HASH(filter_uids, u32, u8, 1024);
BPF_HASH(filter_ports, u16, u8, 1024);
BPF_LPM_TRIE(filter_paths, struct path_key, u8, 1024);
BPF_ARRAY(filter_cgroups, struct cgroup_filter, CGROUP_FILTERS);
BPF_PERCPU_ARRAY(path_keys, struct path_key, 1);     /* tracepoints run with preemption off */

static __always_inline int drops(u8 *value, u32 filters, u32 by) {
    return value ? !*value : !(filters & KEEPS(by));
}

/* Whether a filter takes away what the current thread does. */
static __always_inline int actor_unwanted(struct settings *set) {
    u32 filters = set->filters;
    if (filters & BY_COMM) {
        struct comm_key key = {};
        bpf_get_current_comm(key.comm, sizeof(key.comm));
        if (drops(filter_comms.lookup(&key), filters, BY_COMM))
            return 1;
    }
    if (filters & BY_UID) {
        u64 cred = 0;
        u32 ids[6] = {};
        READ(cred, bpf_get_current_task() + OFF_CRED);
        READ(ids, cred + OFF_UID);
        if (drops(filter_uids.lookup(&ids[4]), filters, BY_UID))
            return 1;
    }
    if (filters & BY_CGROUP) {
        int keeps = filters & KEEPS(BY_CGROUP) ? 1 : 0;
#pragma unroll
        for (int i = 0; i < CGROUP_FILTERS; i++) {   /* from the outermost to the innermost */
            int at = i;
            struct cgroup_filter *one = filter_cgroups.lookup(&at);
            if (one && one->id && bpf_get_current_ancestor_cgroup_id(one->level) == one->id)
                keeps = one->keeps;
        }
        if (!keeps)
            return 1;
    }
    return 0;
}

/* Whether a filter takes away what is done with these ports; without any it cannot tell. */
static __always_inline int ports_unwanted(struct settings *set, u16 local, u16 remote) {
    u32 filters = set->filters;
    u8 *value;
    if (!(filters & BY_PORT) || (!local && !remote))
        return 0;
    value = filter_ports.lookup(&remote);
    if (!value)
        value = filter_ports.lookup(&local);
    return drops(value, filters, BY_PORT);
}

/* A source belongs to one program, and a program never nests in itself on a CPU (the kernel counts that as a
 * recursion miss), so plain increments are exact. */
static __always_inline int count_filtered(int source) {
    struct counts *c = counts_of(source);
    if (c) {
        c->seen++;
        c->filtered++;
    }
    return 1;
}

static __always_inline int filtered_if(struct settings *set, u32 action, int source, int unwanted) {
    if ((set->actions >> action & 1) && !unwanted)
        return 0;
    return count_filtered(source);
}

static __always_inline int filtered_out(struct settings *set, u32 action, int source) {
    return filtered_if(set, action, source, actor_unwanted(set));
}
