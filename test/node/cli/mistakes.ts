/** What goes wrong, and what the programs must say of it (SPEC C1, C11); run by messages.test.ts. */

const NOBODY = '12D3KooWE9ZjYQB1PF3a2QBJLTs2fLHTE6x2Tje5aEwyEZ73FwWK'

export interface Case {
  /** Which of the things that go wrong. */
  about: string
  program?: 'upstart' | 'upstart-peer'
  /** `@peer`: the address of the living peer; `@id`: its id. Names of files are those of the folder that all share. */
  args: string[]
  name: string
  code: 1 | 2
  /** The culprit: file, address, version, class … */
  where: string | RegExp
  mend: string | RegExp
}

const online = (...args: string[]): string[] => [...args, '--root', 'root.json', '--peer', '@peer']
const packed = (...args: string[]): string[] => ['pack', ...args, '--root', 'root.json', '--out', 'x.upgrade']
const daemon = (...args: string[]): Pick<Case, 'program' | 'args'> => ({ program: 'upstart-peer', args })

const UNREACHABLE = `/ip4/127.0.0.1/tcp/1/p2p/${NOBODY}`
const unreachable = (...args: string[]): Case => ({
  about: `unreachable peer: ${args[0]}`,
  args: [...args, '--root', 'root.json', '--peer', UNREACHABLE],
  name: 'Unreachable',
  code: 1,
  where: '/ip4/127.0.0.1/tcp/1: nobody listens there',
  mend: 'start that peer, or give the address of another'
})
const wrongRoot = (...args: string[]): Case => ({
  about: `wrong root: ${args[0]}`,
  args: [...args, '--root', 'other.json', '--peer', '@peer'],
  name: 'WrongFleet',
  code: 1,
  where: '@id',
  mend: 'use its root.json'
})
const missingKey = (...args: string[]): Case => ({
  about: `missing key: ${args[0]}`,
  args,
  name: 'Usage',
  code: 2,
  where: 'nokey: cannot be read: there is no such file',
  mend: 'give a key file that "upstart keygen" wrote'
})
/** Of the directory `name`, made of that of a peer that has run. */
const damaged = (name: string, where: string | RegExp, mend: string | RegExp): Case => ({
  about: `damaged data directory: ${name}`,
  ...daemon('--data', name, '--root', 'root.json'),
  name: 'DamagedStore',
  code: 1,
  where,
  mend
})

export const sign = ['--sign', 'me']
export const CASES: Case[] = [
  unreachable('status'),
  unreachable('inject', 'v1.upgrade'),
  unreachable('call', 'IntSet', 'contains', '1', '--at', '1'),
  unreachable('pause', ...sign),
  unreachable('resume', ...sign),
  unreachable('roster', '--group', 'g', ...sign),
  unreachable('abort', '1', ...sign),
  unreachable('approve', '1', ...sign),
  unreachable('retry', '1', ...sign),
  unreachable('retire', '1', ...sign),
  unreachable('forget', '1', ...sign),
  unreachable('exclude', NOBODY, '--group', 'g', ...sign),
  unreachable('leave', ...sign),
  {
    about: 'unreachable peer: another one answers there',
    args: ['status', '--root', 'root.json', '--peer', `@port/p2p/${NOBODY}`],
    name: 'Unreachable',
    code: 1,
    where: /another peer, @id, answers there/,
    mend: 'correct the address'
  },
  wrongRoot('status'),
  wrongRoot('call', 'IntSet', 'contains', '1', '--at', '1'),
  wrongRoot('pause', '--sign', 'other'),
  {
    about: 'wrong root: inject',
    args: online('inject', 'other.upgrade'),
    name: 'WrongFleet',
    code: 1,
    where: 'other.upgrade',
    mend: "for this fleet's root.json"
  },
  {
    about: 'wrong root: pack',
    args: ['pack', 'v2', '--root', 'other.json', '--parent', 'v1.upgrade', '--out', 'x.upgrade'],
    name: 'WrongFleet',
    code: 1,
    where: 'the parent of version 1',
    mend: 'give the one packed for this root.json'
  },
  {
    about: 'wrong root: a file that is none',
    args: ['status', '--root', 'me.pub', '--peer', '@peer'],
    name: 'Malformed',
    code: 1,
    where: 'me.pub: not JSON',
    mend: 'fetch or make it anew'
  },
  {
    about: 'wrong root: upstart-peer, data of another fleet',
    ...daemon('--data', 'used', '--root', 'other.json'),
    name: 'WrongFleet',
    code: 1,
    where: /used belongs to fleet/,
    mend: "give that fleet's root.json or another --data"
  },
  {
    about: 'wrong root: upstart-peer, a file that is none',
    ...daemon('--data', 'fresh', '--root', 'me.pub'),
    name: 'Malformed',
    code: 1,
    where: '--root me.pub',
    mend: 'make it anew'
  },
  {
    about: 'stale parent: inject a second version 1',
    args: online('inject', 'second.upgrade'),
    name: 'StaleParent',
    code: 1,
    where: /the newest entry is version 1 \(\w+\)/,
    mend: 'pack it again as version 2'
  },
  {
    about: 'stale parent: pack on the wrong one',
    args: packed('v2', '--parent', 'v2.upgrade'),
    name: 'StaleParent',
    code: 1,
    where: 'version 2 is given',
    mend: 'give the upgrade file of version 1 as --parent'
  },
  {
    about: 'wrong version order: inject version 3 before 2',
    args: online('inject', 'v3.upgrade'),
    name: 'StaleParent',
    code: 1,
    where: 'version 3 was packed on',
    mend: 'inject version 2 first'
  },
  {
    about: 'wrong version order: pack without a parent',
    args: packed('v2'),
    name: 'StaleParent',
    code: 1,
    where: 'version 2 follows version 1, but none is given',
    mend: '--parent'
  },
  {
    about: 'wrong version order: call a version that is not there',
    args: online('call', 'IntSet', 'contains', '1', '--at', '9', '--timeout', '2s'),
    name: 'Unavailable',
    code: 1,
    where: 'IntSet has no version 9',
    mend: 'known here: IntSet 1'
  },
  {
    about: 'wrong version order: a statement about a version that is not there',
    args: online('pause', '9', ...sign),
    name: 'Usage',
    code: 2,
    where: '9 is no version',
    mend: 'give a version'
  },
  missingKey('pack', 'v1', '--root', 'root.json', '--sign', 'nokey'),
  missingKey('sign', 'v1.upgrade', '--key', 'nokey'),
  missingKey('root', 'new', '--root', 'nokey'),
  missingKey(...online('pause', '--sign', 'nokey')),
  missingKey(...online('exclude', NOBODY, '--group', 'g', '--sign', 'nokey')),
  {
    about: 'missing key: none given',
    args: online('pause'),
    name: 'Unsigned',
    code: 1,
    where: 'no signature',
    mend: '--sign KEYFILE'
  },
  {
    about: 'missing key: one without the role',
    args: online('pause', '--sign', 'other'),
    name: 'UnknownKey',
    code: 1,
    where: /key \w+… does not hold the role/,
    mend: 'sign with one that does'
  },
  {
    about: 'unknown class: pack',
    args: packed('noclass', '--parent', 'v1.upgrade'),
    name: 'UnknownClass',
    code: 1,
    where: 'class StrSet',
    mend: 'correct the name'
  },
  {
    about: 'unknown class: call',
    args: online('call', 'StrSet', 'contains', '1', '--at', '1', '--timeout', '2s'),
    name: 'Unavailable',
    code: 1,
    where: 'class StrSet',
    mend: 'classes known here: IntSet'
  },
  {
    about: 'incompatible interface that an unnamed class still calls: no past SO',
    args: packed('nopast', '--parent', 'two.upgrade'),
    name: 'Malformed',
    code: 1,
    where: /insert is gone.*class Counter, written for IntSet 1/,
    mend: 'give a past SO'
  },
  {
    about: 'incompatible interface that an unnamed class still calls: no subtype',
    args: packed('subtype', '--parent', 'two.upgrade'),
    name: 'Malformed',
    code: 1,
    where: 'insert is gone',
    mend: 'give a past SO'
  },
  damaged('garbage', /peer\.sqlite is damaged/, 'restore'),
  damaged('empty', /peer\.sqlite is empty/, 'restore'),
  damaged('nostore', /peer\.sqlite is missing/, 'restore'),
  damaged('badkey', /peer\.key is not a peer key/, 'restore it from a backup'),
  damaged(
    'nokeyfile',
    /peer\.key is missing, but its directory has been in use by peer @id/,
    'restore it from a backup'
  ),
  damaged('otherkey', /peer\.key is the key of another peer/, 'restore it from a backup'),
  damaged('badrecord', /host\/processes\/7\.json names no process/, 'remove the file'),
  {
    about: 'damaged data directory: open to others',
    ...daemon('--data', 'open', '--root', 'root.json'),
    name: 'Usage',
    code: 2,
    where: 'open is open to other users',
    mend: 'chmod 700 open'
  },
  // What a new user gets wrong.
  {
    about: 'a mistyped command',
    args: ['statu', '--root', 'root.json'],
    name: 'Usage',
    code: 2,
    where: "'statu'",
    mend: 'Did you mean status?'
  },
  {
    about: 'a mistyped flag',
    args: ['status', '--root', 'root.json', '--pear', '@peer'],
    name: 'Usage',
    code: 2,
    where: "'--pear'",
    mend: /Did you mean --peer\?.*upstart status --help/
  },
  {
    about: 'a mistyped flag of upstart-peer',
    ...daemon('--data', 'fresh', '--root', 'root.json', '--lissten', 'x'),
    name: 'Usage',
    code: 2,
    where: "'--lissten'",
    mend: 'upstart-peer --help'
  },
  {
    about: 'an option that the environment may give',
    args: ['status', '--peer', '@peer'],
    name: 'Usage',
    code: 2,
    where: '--root <file>',
    mend: 'UPSTART_ROOT'
  },
  {
    about: 'no peer named',
    args: ['status', '--root', 'root.json'],
    name: 'Usage',
    code: 2,
    where: 'no peer',
    mend: 'UPSTART_PEER'
  },
  {
    about: 'an address as browsers have it',
    args: ['status', '--root', 'root.json', '--peer', '127.0.0.1:4001'],
    name: 'Usage',
    code: 2,
    where: '127.0.0.1:4001',
    mend: '/ip4/1.2.3.4/tcp/4001/p2p/'
  },
  {
    about: 'a directory instead of an upgrade file',
    args: online('inject', 'v1'),
    name: 'Usage',
    code: 2,
    where: 'v1: cannot be read: it is a directory',
    mend: 'give an upgrade file'
  },
  {
    about: 'a directory instead of the parent',
    args: packed('v2', '--parent', 'v1'),
    name: 'Usage',
    code: 2,
    where: 'v1: cannot be read: it is a directory',
    mend: '"upstart pack"'
  },
  {
    about: 'a directory instead of root.json',
    args: ['status', '--root', 'v1', '--peer', '@peer'],
    name: 'Usage',
    code: 2,
    where: 'v1: cannot be read: it is a directory',
    mend: 'root.json'
  },
  {
    about: 'a directory that is not there to write to',
    args: ['keygen', 'nodirectory/key'],
    name: 'Usage',
    code: 2,
    where: 'nodirectory/key: cannot be written: there is no directory nodirectory',
    mend: 'make it first'
  },
  {
    about: 'a key that exists',
    args: ['keygen', 'me'],
    name: 'Usage',
    code: 2,
    where: 'me exists',
    mend: 'choose another name'
  },
  {
    about: 'a file instead of a data directory',
    ...daemon('--data', 'me.pub', '--root', 'root.json'),
    name: 'Usage',
    code: 2,
    where: 'me.pub is not a directory',
    mend: 'name another'
  },
  {
    about: 'nothing said to upstart-peer',
    ...daemon(),
    name: 'Usage',
    code: 2,
    where: '--data',
    mend: "give the directory of this peer's own"
  },
  {
    about: 'one data directory twice',
    ...daemon('--data', 'data', '--root', 'root.json'),
    name: 'Locked',
    code: 1,
    where: /data is in use by process \d+/,
    mend: 'a directory of its own'
  },
  {
    about: 'a port in use',
    ...daemon('--data', 'fresh', '--root', 'root.json', '--listen', '@port'),
    name: 'AddressInUse',
    code: 1,
    where: 'cannot listen on @port: another program listens there',
    mend: 'give another port'
  },
  {
    about: 'a port that is none',
    ...daemon('--data', 'fresh', '--root', 'root.json', '--listen', '/ip4/127.0.0.1/tcp/70000'),
    name: 'Usage',
    code: 2,
    where: '--listen',
    mend: 'from 0 to 65535'
  }
]
