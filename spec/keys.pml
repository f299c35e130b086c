/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which data keys may be deleted?  Those that no pack uses, by a list of the
 * packs.  The list goes from folder to folder and takes its time; meanwhile a
 * compaction copies the only blob under a key from the last folder into the
 * first, and the old pack is deleted two generations later.
 */

#define FOLDERS 3

bool pack[FOLDERS]; /* a pack whose blob needs the key */
bool key = true;    /* ring/ has it */
byte newest = 1;
byte condemned = FOLDERS, doomed = FOLDERS; /* the folder of the old pack */

#define HELD(i) (pack[i] && (i) != condemned && (i) != doomed)

/* Two others that compact, and go on from generation to generation. */
proctype Collector()
{
	byte i, next;

	do
	:: newest < 7 ->
		select(next : 0 .. FOLDERS - 1);
		if
		:: !pack[next] ->
			i = 0;
			do
			:: i < FOLDERS && !HELD(i) -> i++
			:: else -> break
			od;
			if
			:: i < FOLDERS -> pack[next] = true
			:: else -> next = FOLDERS
			fi
		:: else ->
			next = FOLDERS;
			i = FOLDERS
		fi;
		d_step { /* gen/n+1: what was copied is condemned */
			doomed = condemned;
			condemned = (next < FOLDERS -> i : FOLDERS);
			newest++
		};
		if
		:: doomed < FOLDERS -> pack[doomed] = false
		:: else
		fi;
		assert(key)
	:: else -> break
	od
}

/* Cleans up the keys, slowly. */
proctype Cleaner()
{
	byte n, i;
	bool used;

	n = newest;
	do
	:: i < FOLDERS ->
		atomic {
			used = used || pack[i];
			i++
		}
	:: else -> break
	od;
#ifdef KEYS_BY_ONE_LIST
	key = used;
#else
	if
	:: !used && newest == n -> key = false
	:: else
	fi;
#endif
	assert(key)
}

init
{
	atomic {
		pack[FOLDERS - 1] = true;
		run Collector();
		run Cleaner()
	}
}
