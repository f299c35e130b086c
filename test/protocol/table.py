# SPDX-License-Identifier: Apache-2.0
"""The scenarios of spec/, and the rules that are left out one by one.

name: (file in spec/, its defines)
"""

SOUND = {
    "one collector": ("one", ""),
    "one collector, lists in any moment": ("one", "FINE_LISTS CYCLES=2"),
    "one collector, lists turned round": (
        "one", "FINE_LISTS LISTS_TURNED CYCLES=2 FORGET_NEW"),
    "cleaning up": ("one", "WRITERS=1 FINE_CLEANING FORGET_NEW"),
    "two collectors": ("two", "FIRST_CYCLES=2"),
    "a late generation": ("two", "CONDEMNED"),
    "leaning in a chain": ("lean", ""),
    "killed at every step": ("crash", ""),
    "killed late": ("crash", "WRITERS=1 CYCLES=2"),
    "compaction and a reader": ("compact", ""),
    "damage": ("damage", ""),
    "going on after a kill": ("resume", "CYCLES=2"),
    "no dead nodes": ("closed", ""),
    "keys": ("keys", ""),
}

LONG = {
    "three writers": ("one", "WRITERS=3"),
    "slow lists": ("one", "SLOW_LISTS CYCLES=2"),
    "two collectors, two writers": ("two", "WRITERS=2 FIRST_CYCLES=2"),
    "two collectors, three generations": ("two", ""),
    "two slow cleaners": ("two", "FINE_CLEANING FORGET_NEW FIRST_CYCLES=2"),
    "a late generation, late tombs": ("two", "CONDEMNED LATE_TOMB FORGET_NEW"),
    "killed at every step, two generations": ("crash", "CYCLES=2"),
    "going on after a kill, three generations": ("resume", ""),
}

BROKEN = {
    "no second look": ("one", "NO_SECOND_LOOK"),
    "sessions not ended first": ("one", "NOT_ENDED_FIRST"),
    "stale lists": ("one", "STALE_LISTS"),
    "leaning on other generations": ("one", "LEAN_ON_OTHER_GENERATIONS"),
    "leaning not passed on": ("lean", "LEAN_NOT_TRANSITIVE"),
    "segments deleted at once": (
        "two", "WRITERS=2 FIRST_CYCLES=2 SEGMENTS_AT_ONCE"),
    "doom not published": ("two", "CONDEMNED UNPUBLISHED_DOOM"),
    "no second read": ("two", "CONDEMNED NO_SECOND_READ"),
    "publishing after the commit": ("one", "PUBLISH_AFTER_COMMIT"),
    "outcome replaced": ("one", "REPLACE_OUTCOME"),
    "no last look": ("one", "NO_LAST_LOOK"),
    "valid without sess": ("one", "VALID_WITHOUT_SESS"),
    "points deleted before sess": (
        "one", "WRITERS=1 FINE_CLEANING POINTS_BEFORE_SESS"),
    "sess listed before points": (
        "one", "WRITERS=1 FINE_CLEANING SESS_LISTED_FIRST"),
    "sess deleted before segments": (
        "two", "FIRST_CYCLES=2 FINE_CLEANING SESS_BEFORE_SEGMENTS"),
    "late segments left": ("crash", "WRITERS=1 CYCLES=2 SEGMENTS_LEFT"),
    "attempts' segments left": (
        "crash", "WRITERS=1 SEGMENTS_LEFT SESS_BEFORE_SEGMENTS"),
    "attempt's segment before its sess": ("two", "FIRST_CYCLES=2 "
                                          "OWN_AFTER_SEGMENT"),
    "tombs left": ("crash", "WRITERS=1 CYCLES=2 TOMBS_LEFT"),
    "marks without old index": ("one", "MARK_WITHOUT_OLD_INDEX"),
    "reader without old index": ("one", "READER_WITHOUT_OLD_INDEX"),
    "reader looks once": ("compact", "READER_LOOKS_ONCE"),
    "parent trusted": ("one", "TRUST_PARENT"),
    "dead nodes kept": ("closed", "ADD_DEAD_NODES"),
    "compacted pack deleted at once": ("compact", "DELETE_COMPACTED_AT_ONCE"),
    "revoked session adopted": ("resume", "ADOPT_REVOKED"),
    "names by contents": ("one", "NAMES_BY_CONTENTS"),
    "marks without frail nodes": ("damage", "MARK_WITHOUT_FRAIL"),
    "keys by one list": ("keys", "KEYS_BY_ONE_LIST"),
}
