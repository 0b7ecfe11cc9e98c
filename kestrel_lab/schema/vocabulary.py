"""Field names that rule authors use and no event source here fills.

A rule may read them without `?`: they compile with the right type and read as missing, and `rules check` reports them.
They are no part of the schema lock: a recording holds nothing of them, so the list may grow without a new version.

A word is a name, `[]` after an array, `:type` where it is no string. Dates but `@timestamp` are strings here. A set of
names is repeated beneath each of its places, as ECS reuses its field sets.
"""

from __future__ import annotations

from collections.abc import Iterator

from kestrel_lab.schema.types import Absent, EqlType, Field, Trust

#: Sets of names, by what they are of.
SETS: dict[str, str] = {
    "hash": "cdhash md5 sha1 sha256 sha384 sha512 ssdeep tlsh",
    "signature": """
        digest_algorithm exists:bool flags signing_id status subject_name team_id thumbprint_sha256 timestamp
        trusted:bool valid:bool
    """,
    "binary": """
        architecture byte_order cpu_type creation_date file_version description company imphash import_hash
        go_import_hash go_stripped:bool go_imports_names_entropy:int imports_names_entropy:int original_file_name
        pehash product shared_libraries[] telfhash header.abi_version header.class header.data header.entrypoint:int
        header.object_version header.os_abi header.type header.version
    """,
    "geo": """
        city_name continent_code continent_name country_iso_code country_name name postal_code region_iso_code
        region_name timezone
    """,
    "as": "number:int organization.name",
    "os": "family full kernel name platform type version Ext.variant",
    "group": "domain id name",
    "user": "domain email full_name hash id name roles[] group.domain group.id group.name",
    "event_data": """
        AccessList AccessMask AccessMaskDescription AdditionalInfo AllowedToDelegateTo AttributeLDAPDisplayName
        AttributeValue AuditPolicyChangesDescription AuthenticationPackageName CallTrace CallerProcessName
        ClientProcessId Consumer DnsHostName ElevatedToken EnabledPrivilegeList GrantedAccess ImagePath
        LogonProcessName NewTargetUserName NewUACList ObjectClass ObjectDN ObjectName ObjectType OldTargetUserName
        Operation OperationType OriginalFileName ParentProcessId PrivilegeList ProcessName Properties
        RelativeTargetName Resource RpcCallClientLocality SchemaFriendlyName ServiceAccount ServiceFileName ShareName
        Status SubCategory SubjectLogonId SubjectUserName SubjectUserSid TargetImage TargetLogonId TargetProcessGUID
        TargetSid TargetUserName TargetUserSid TaskName
    """,
    "endpoint": """
        address bytes:int domain ip:ip mac nat.ip:ip nat.port:int packets:int port:int registered_domain subdomain
        top_level_domain
    """,
    "process": """
        args[] args_count:int command_line end entity_id env_vars[] executable exit_code:int interactive:bool name
        pgid:int pid:int ppid:int vpid:int start title uptime:int working_directory thread.id:int thread.name
        thread.capabilities.effective[] thread.capabilities.permitted[] same_as_process:bool tty.char_device.major:int
        tty.char_device.minor:int tty.columns:int tty.rows:int entry_meta.type entry_meta.source.address
        entry_meta.source.ip:ip user.id user.name real_user.id real_user.name saved_user.id saved_user.name
        attested_user.id attested_user.name group.id group.name real_group.id real_group.name saved_group.id
        saved_group.name attested_groups.name[] supplemental_groups.id[] supplemental_groups.name[] previous.args[]
        previous.args_count:int previous.executable io.type io.text io.max_bytes_per_process_exceeded:bool
        io.total_bytes_captured:int Ext.ancestry[] Ext.architecture Ext.authentication_id Ext.code_signature.status
        Ext.code_signature.exists:bool Ext.code_signature.subject_name Ext.code_signature.trusted:bool Ext.dll.name
        Ext.dll.path Ext.load_module.taint_flags[] Ext.memory_region.mapped_path Ext.memory_region.region_protection
        Ext.mitigation_policies[] Ext.protection Ext.real.pid:int Ext.services[] Ext.session
        Ext.session_info.logon_type Ext.token.elevation:bool Ext.token.integrity_level_name Ext.token.user Ext.user
        Ext.variant Ext.defense_evasions[] Ext.effective_parent.entity_id Ext.effective_parent.executable
        Ext.effective_parent.name Ext.effective_parent.pid:int Ext.created_suspended:bool Ext.trusted:bool
        Ext.api.name Ext.api.behaviors[] Ext.api.summary Ext.device.product_id Ext.device.vendor_id
        Ext.relative_file_creation_time:float Ext.relative_file_name_modify_time:float
    """,
    "file": """
        accessed attributes[] created ctime device directory drive_letter extension fork_name gid group inode
        mime_type mode mtime name owner path size:int target_path type uid Ext.header_bytes Ext.entropy:float
        Ext.monotonic_id:int Ext.original.extension Ext.original.gid Ext.original.group Ext.original.mode
        Ext.original.name Ext.original.owner Ext.original.path Ext.original.uid Ext.windows.zone_identifier:int
        Ext.malware_classification.identifier Ext.malware_classification.score:float Ext.quarantine_result:bool
        Ext.device.bus_type Ext.device.product_id Ext.device.vendor_id Ext.device.volume_device_type
        Ext.temp_file_path
    """,
}

_PROCESSES = (
    "process", "process.parent", "process.entry_leader", "process.session_leader", "process.group_leader",
    "process.parent.group_leader", "process.entry_leader.parent", "process.entry_leader.parent.session_leader",
    "process.session_leader.parent", "process.session_leader.parent.session_leader", "Target.process",
    "Target.process.parent", "process.target", "process.target.parent",
)  # fmt: skip
_ENDPOINTS = ("source", "destination", "client", "server")
_BINARIES = ("file", "dll", "process", "process.parent", "Target.process")

#: Which set stands beneath which names.
PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("process", _PROCESSES),
    ("file", ("file",)),
    ("hash", tuple(f"{place}.hash" for place in (*_BINARIES, "process.entry_leader", "email.attachments.file"))),
    ("signature", tuple(f"{place}.code_signature" for place in (*_BINARIES, "process.entry_leader"))),
    ("binary", tuple(f"{p}.{kind}" for p in _BINARIES for kind in ("elf", "pe", "macho"))),
    ("endpoint", _ENDPOINTS),
    ("geo", tuple(f"{place}.geo" for place in (*_ENDPOINTS, "host", "observer", "threat.indicator"))),
    ("as", tuple(f"{place}.as" for place in (*_ENDPOINTS, "threat.indicator"))),
    ("event_data", ("winlog.event_data",)),
    ("user", ("user", "user.changes", "user.effective", "user.target", "user.real", "user.filesystem", "user.saved",
              "user.audit", "user.Ext.real", *(f"{place}.user" for place in (*_ENDPOINTS, "host", "related")))),
    ("group", ("group", "group.Ext.real", "user.effective.group.Ext.real")),
    ("os", ("host.os", "observer.os", "user_agent.os")),
)  # fmt: skip

#: Names that belong to no set.
NAMES = """
@timestamp:date
message
tags[]
ecs.version
labels.value
agent.build.original agent.ephemeral_id agent.id agent.name agent.type agent.version
elastic.agent.id
auditd.message_type auditd.messages[] auditd.result auditd.sequence:int auditd.session auditd.warnings[]
auditd.summary.actor.primary auditd.summary.actor.secondary auditd.summary.object.type auditd.summary.object.primary
auditd.summary.object.secondary auditd.summary.how auditd.paths.name auditd.paths.mode auditd.paths.item
auditd.paths.nametype auditd.paths.ouid auditd.paths.ogid auditd.paths.inode auditd.paths.dev auditd.user.audit.id
auditd.user.audit.name auditd.user.filesystem.id auditd.user.effective.id auditd.user.saved.id auditd.data.a0
auditd.data.a1 auditd.data.a2 auditd.data.a3 auditd.data.acct auditd.data.action auditd.data.addr auditd.data.apparmor
auditd.data.arch auditd.data.argc auditd.data.audit_backlog_limit auditd.data.audit_enabled auditd.data.audit_failure
auditd.data.audit_pid auditd.data.auid auditd.data.banners auditd.data.cap_fe auditd.data.cap_fi auditd.data.cap_fp
auditd.data.cap_fver auditd.data.capability auditd.data.cgroup auditd.data.class auditd.data.cmd auditd.data.code
auditd.data.comm auditd.data.cwd auditd.data.data auditd.data.default-context auditd.data.denied_mask auditd.data.dev
auditd.data.direction auditd.data.enforcing auditd.data.exe auditd.data.exit auditd.data.family auditd.data.fd
auditd.data.flags auditd.data.format auditd.data.fp auditd.data.grantors auditd.data.hostname auditd.data.id
auditd.data.img-ctx auditd.data.info auditd.data.inode auditd.data.ip auditd.data.items auditd.data.key
auditd.data.kernel auditd.data.kind auditd.data.level auditd.data.list auditd.data.lport auditd.data.mode
auditd.data.name auditd.data.net auditd.data.new-enabled auditd.data.new-level auditd.data.new_gid auditd.data.new_pe
auditd.data.nlnk-grp auditd.data.nlnk-pid auditd.data.obj auditd.data.oflag auditd.data.old auditd.data.old-auid
auditd.data.old-level auditd.data.old-ses auditd.data.op auditd.data.opid auditd.data.oses auditd.data.outif
auditd.data.pages auditd.data.path auditd.data.per auditd.data.perm auditd.data.permissive auditd.data.pid
auditd.data.ppid auditd.data.proctitle auditd.data.profile auditd.data.prom auditd.data.proto auditd.data.qbytes
auditd.data.reason auditd.data.removed auditd.data.res auditd.data.result auditd.data.role auditd.data.rport
auditd.data.saddr auditd.data.scontext auditd.data.seperms auditd.data.seresult auditd.data.ses auditd.data.sig
auditd.data.sigev_signo auditd.data.socket.addr auditd.data.socket.family auditd.data.socket.path
auditd.data.socket.port auditd.data.socket.saddr auditd.data.sport auditd.data.state auditd.data.subj
auditd.data.success auditd.data.syscall auditd.data.table auditd.data.tclass auditd.data.tcontext auditd.data.terminal
auditd.data.tty auditd.data.uid auditd.data.unit auditd.data.uri auditd.data.user auditd.data.uuid auditd.data.val
auditd.data.ver auditd.data.virt auditd.data.vm auditd.data.vm-ctx auditd.data.vm-pid auditd.data.watch
cloud.account.id cloud.account.name cloud.availability_zone cloud.instance.id cloud.instance.name cloud.machine.type
cloud.project.id cloud.project.name cloud.provider cloud.region cloud.service.name
container.cpu.usage:float container.disk.read.bytes:int container.disk.write.bytes:int container.id
container.image.hash.all[] container.image.name container.image.tag[] container.memory.usage:float container.name
container.network.egress.bytes:int container.network.ingress.bytes:int container.runtime
container.security_context.privileged:bool
data_stream.dataset data_stream.namespace data_stream.type
device.id device.manufacturer device.model.identifier device.model.name device.serial_number
dll.name dll.path dll.Ext.compile_time dll.Ext.device.product_id dll.Ext.relative_file_creation_time:float
dll.Ext.relative_file_name_modify_time:float dll.Ext.load_index:int dll.Ext.size:int
dns.answers.class dns.answers.data dns.answers.name dns.answers.ttl:int dns.answers.type dns.header_flags[] dns.id
dns.op_code dns.question.class dns.question.name dns.question.registered_domain dns.question.subdomain
dns.question.top_level_domain dns.question.type dns.resolved_ip[]:ip dns.response_code dns.type dns.Ext.options:int
dns.Ext.status:int
email.from.address[] email.sender.address email.subject email.to.address[]
Effective_process.entity_id Effective_process.executable Effective_process.name Effective_process.pid:int
error.code error.id error.message error.stack_trace error.type
event.agent_id_status event.code event.created event.dataset event.duration:int event.end event.hash event.id
event.ingested event.kind event.module event.original event.outcome event.provider event.reason event.reference
event.risk_score:float event.risk_score_norm:float event.sequence:int event.severity:int event.start event.timezone
event.url event.Ext.correlation.id
faas.coldstart:bool faas.execution faas.id faas.name faas.trigger.type faas.version
fim.hash.sha256
file_integrity.path
host.architecture host.boot.id host.containerized:bool host.cpu.usage:float host.disk.read.bytes:int
host.disk.write.bytes:int host.domain host.hostname host.id host.ip[]:ip host.mac[] host.name
host.network.egress.bytes:int host.network.ingress.bytes:int host.pid_ns_ino host.risk.calculated_level host.type
host.uptime:int
http.request.body.bytes:int http.request.body.content http.request.bytes:int http.request.headers.authorization
http.request.headers.content-type http.request.id http.request.method http.request.mime_type http.request.referrer
http.response.body.bytes:int http.response.body.content http.response.bytes:int http.response.headers.location
http.response.headers.server http.response.mime_type http.response.status_code:int http.version
log.file.path log.level log.logger log.syslog.appname log.syslog.facility.code:int log.syslog.facility.name
log.syslog.hostname log.syslog.priority:int log.syslog.procid log.syslog.severity.code:int log.syslog.severity.name
memory.region.protection
network.application network.bytes:int network.community_id network.direction network.forwarded_ip:ip
network.iana_number network.inner.vlan.id network.inner.vlan.name network.name network.packets:int network.protocol
network.transport network.type network.vlan.id network.vlan.name
observer.egress.interface.id observer.egress.interface.name observer.egress.zone observer.hostname
observer.ingress.interface.id observer.ingress.interface.name observer.ingress.zone observer.ip[]:ip observer.mac[]
observer.name observer.product observer.serial_number observer.type observer.vendor observer.version
orchestrator.api_version orchestrator.cluster.id orchestrator.cluster.name orchestrator.cluster.url
orchestrator.cluster.version orchestrator.namespace orchestrator.organization orchestrator.resource.annotation[]
orchestrator.resource.id orchestrator.resource.ip[]:ip orchestrator.resource.label[] orchestrator.resource.name
orchestrator.resource.parent.type orchestrator.resource.type orchestrator.type
organization.id organization.name
package.architecture package.build_version package.checksum package.description package.install_scope
package.installed package.license package.name package.path package.reference package.size:int package.type
package.version
registry.data.strings[] registry.data.type registry.hive registry.key registry.path registry.value
related.hash[] related.hosts[] related.ip[]:ip related.user[]
rule.author[] rule.category rule.description rule.id rule.license rule.name rule.reference rule.ruleset rule.uuid
rule.version
service.address service.environment service.ephemeral_id service.id service.name service.node.name service.node.role
service.state service.type service.version
session.id
system.auth.ssh.event system.auth.ssh.method system.auth.ssh.signature system.auth.sudo.command system.auth.sudo.error
system.auth.sudo.pwd system.auth.sudo.tty system.auth.sudo.user system.auth.useradd.home system.auth.useradd.shell
threat.enrichments.indicator.type threat.framework threat.group.name threat.indicator.type threat.software.name
threat.tactic.id[] threat.tactic.name[] threat.technique.id[] threat.technique.name[]
threat.technique.subtechnique.id[] threat.technique.subtechnique.name[]
tls.cipher tls.client.hash.md5 tls.client.hash.sha1 tls.client.hash.sha256 tls.client.issuer tls.client.ja3
tls.client.server_name tls.client.subject tls.client.supported_ciphers[] tls.client.x509.serial_number tls.curve
tls.established:bool tls.next_protocol tls.resumed:bool tls.server.hash.sha256 tls.server.issuer tls.server.ja3s
tls.server.subject tls.version tls.version_protocol
trace.id
transaction.id
span.id
url.domain url.extension url.fragment url.full url.original url.password url.path url.port:int url.query
url.registered_domain url.scheme url.subdomain url.top_level_domain url.username
user.risk.calculated_level user.Ext.real.id
user_agent.device.name user_agent.name user_agent.original user_agent.version
volume.bus_type volume.device_name volume.device_type volume.file_system_type volume.mount_name volume.nt_name
vulnerability.category[] vulnerability.id vulnerability.severity
winlog.api winlog.channel winlog.computer_name winlog.event_id winlog.keywords[] winlog.logon.id winlog.logon.type
winlog.opcode winlog.provider_name winlog.record_id
powershell.file.script_block_text
endgame.event_subtype_full endgame.metadata.type
kibana.alert.risk_score:int kibana.alert.rule.name kibana.alert.rule.rule_id kibana.alert.severity
kubernetes.audit.objectRef.name kubernetes.audit.objectRef.namespace kubernetes.audit.objectRef.resource
kubernetes.audit.objectRef.subresource kubernetes.audit.requestURI kubernetes.audit.user.groups[]
kubernetes.audit.user.username kubernetes.audit.userAgent kubernetes.audit.verb
"""


def _words() -> Iterator[str]:
    """Yield every word with its whole name."""
    for name, places in PLACES:
        for place in places:
            yield from (f"{place}.{word}" for word in SETS[name].split())
    yield from NAMES.split()


def _field(word: str) -> Field:
    name, _, kind = word.partition(":")
    bare = name.removesuffix("[]")
    return Field(bare, EqlType(kind or "string"), (), Absent(), Trust.IMPORTED, "-", "", bare != name)


#: The fields by name, in order of name.
VOCABULARY: dict[str, Field] = {f.name: f for f in sorted(map(_field, _words()), key=lambda f: f.name)}
