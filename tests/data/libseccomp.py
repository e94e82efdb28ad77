# Has libseccomp make the filters of profiles: an array of linux.seccomp objects on standard input, a file for each, by its number,
# in the directory named.
import json, sys
import seccomp

ACTIONS = {"ALLOW": lambda n: seccomp.ALLOW, "ERRNO": seccomp.ERRNO, "TRACE": seccomp.TRACE, "KILL": lambda n: seccomp.KILL,
           "KILL_PROCESS": lambda n: seccomp.KILL_PROCESS, "KILL_THREAD": lambda n: seccomp.KILL, "TRAP": lambda n: seccomp.TRAP,
           "LOG": lambda n: seccomp.LOG}
OPERATORS = {"NE": seccomp.NE, "LT": seccomp.LT, "LE": seccomp.LE, "EQ": seccomp.EQ, "GE": seccomp.GE, "GT": seccomp.GT,
             "MASKED_EQ": seccomp.MASKED_EQ}

def action(name, errno):
    return ACTIONS[name.removeprefix("SCMP_ACT_")](errno)

for number, profile in enumerate(json.load(sys.stdin)):
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet", 1))
    made = seccomp.SyscallFilter(default)
    for arch in profile["architectures"]:
        name = arch.removeprefix("SCMP_ARCH_")
        if name != "X86_64":
            made.add_arch(getattr(seccomp.Arch, name))
    for call in profile["syscalls"]:
        then = action(call["action"], 1 if call.get("errnoRet") is None else call["errnoRet"])
        if then == default:
            continue
        for name in call["names"]:
            if seccomp.resolve_syscall(seccomp.Arch(), name) == -1:
                # Newer than the library.
                continue
            args = [seccomp.Arg(a["index"], OPERATORS[a["op"].removeprefix("SCMP_CMP_")], a["value"], a.get("valueTwo", 0))
                    for a in call.get("args") or []]
            made.add_rule(then, name, *args)
    with open(f"{sys.argv[1]}/{number}", "wb") as file:
        made.export_bpf(file)
