#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the manual tell of every command and option, and of no others?

    man.py          the program is VMKEEP, or build/vmkeep
"""

import json
import os
import re
import shutil
import subprocess

from results import finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = [os.path.join(ROOT, "man", name)
         for name in ("vmkeep.1", "vmkeep.conf.5")]
VMKEEP = os.environ.get("VMKEEP", os.path.join(ROOT, "build", "vmkeep"))


def tables():
    """What the program understands."""
    done = subprocess.run([VMKEEP, "help", "--json"], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def names(options):
    """All words for these options: {"--memory", "--no-memory", "-r"}."""
    found = set()
    for option in options:
        found.add("--" + option["name"])
        if option["negatable"]:
            found.add("--no-" + option["name"])
        if option["letter"]:
            found.add("-" + option["letter"])
    return found


def section(page, title):
    """The text of one .Sh."""
    match = re.search(r"^\.Sh %s\n(.*?)(?=^\.Sh |\Z)" % title, page,
                      re.M | re.S)
    return match.group(1)


def items(text):
    """The flags that have an .It of their own in the text."""
    found = set()
    for line in re.findall(r"^\.It (Fl .*)$", text, re.M):
        for flag in re.findall(r"Fl (\S+)", line):
            found.add("-" + flag.replace("\\-", "-"))
    return found


def commands(text):
    """{command: its text}, by the outermost list."""
    found, name, depth = {}, None, 0
    for line in text.splitlines():
        depth += line.startswith(".Bl")
        depth -= line.startswith(".El")
        match = re.match(r"\.It Cm (\S+)", line)
        if match and depth == 1:
            name = match.group(1)
            found[name] = ""
        elif name:
            found[name] += line + "\n"
    return found


def compare(what, program, manual):
    """Complaints about the difference."""
    return ([f"{what}: {name} is not in the manual"
             for name in sorted(program - manual)]
            + [f"{what}: {name} is in the manual only"
               for name in sorted(manual - program)])


def check_commands(help, page):
    said = commands(section(page, "COMMANDS"))
    wrong = compare("commands", {c["name"] for c in help["commands"]},
                    set(said))
    for command in help["commands"]:
        wrong += compare(command["name"], names(command["options"]),
                         items(said.get(command["name"], "")))
    return wrong


def check_environment(help, page):
    options = help["options"] + [option for command in help["commands"]
                                 for option in command["options"]]
    program = {option["env"] for option in options if option["env"]}
    manual = set(re.findall(r"VMKEEP_\w+", section(page, "ENVIRONMENT")))
    return compare("environment", program, manual
                   - {"VMKEEP_PASSPHRASE", "VMKEEP_PASSPHRASE_FILE"})


def check_rules(_help, page):
    done = subprocess.run([VMKEEP, "doctor", "--rules", "--json"], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    rules = {rule["id"]: rule["about"]
             for rule in json.loads(done.stdout)["rules"]}
    said = dict(re.findall(r"^\.It Cm (\S+) Ta (.*)$",
                           section(page, "FINDINGS"), re.M))
    said = {name.replace("\\-", "-"): about for name, about in said.items()}
    return (compare("rules", set(rules), set(said))
            + [f"rules: {name}: {said[name]!r} is not {about!r}"
               for name, about in rules.items()
               if said.get(name, about) != about])


def check_keys(_help, _page):
    """Each key of a policy, with what is built in, is in vmkeep.conf(5)."""
    done = subprocess.run([VMKEEP, "config", "keys", "--json"], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    values = json.loads(done.stdout)["units"][0]["values"]
    with open(PAGES[1], encoding="utf-8") as file:
        page = section(file.read(), "KEYS OF A POLICY")
    said = dict(re.findall(r"^\.It Cm (\w+)(?: Pq (\w+))?", page, re.M))
    return (compare("keys", {value["key"] for value in values}, set(said))
            + [f"keys: {value['key']}: built in is {value['value']!r}"
               for value in values
               if said.get(value["key"]) != value["value"]])


def check_options(help, page):
    return compare("options", names(help["options"]),
                   items(section(page, "OPTIONS")))


def check_lint(_help, _page):
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", *PAGES],
                          stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()


def main():
    checks = [check_commands, check_options, check_environment, check_rules,
              check_keys]
    skipped = 0
    if shutil.which("mandoc"):
        checks.append(check_lint)
    else:
        print("skipped: mandoc is missing")
        skipped = 1
    with open(PAGES[0], encoding="utf-8") as file:
        page = file.read()
    help, failed = tables(), 0
    for check in checks:
        wrong = check(help, page)
        failed += bool(wrong)
        for line in wrong:
            print(line)
    finish("man", len(checks) - failed, failed, skipped)


main()
