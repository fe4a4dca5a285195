/** What a recorded program did to a directory, from the lines of `strace -f -y -xx`: the steps that a power cut may part. */

/** One change of the file system below the watched directory, or a promise that earlier ones are durable. */
export type Step =
  /** `fresh`: the file was made, or emptied, by being opened. */
  | { what: 'open'; path: string; fresh: boolean; append: boolean }
  /** `at` undefined: where the last one ended. */
  | { what: 'write'; path: string; at: number | undefined; bytes: Buffer }
  | { what: 'truncate'; path: string; length: number }
  | { what: 'copy'; from: string; path: string; length: number }
  | { what: 'link'; from: string; path: string }
  | { what: 'rename'; from: string; path: string }
  | { what: 'unlink' | 'mkdir' | 'rmdir'; path: string }
  /** Of a file: its contents; of a directory: the names in it. */
  | { what: 'sync'; path: string }
  /** The program said to the outside that all that it was asked for so far is done. */
  | { what: 'acknowledge'; text: string }

const SYSTEM_CALLS =
  'openat,write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir,ftruncate,mkdir,mkdirat,link,linkat,copy_file_range,sendfile,ioctl'

/** `strace` and its options; the program's own command line follows. */
export const recorder = (trace: string): string[] => [
  ...['strace', '-f', '-y', '-xx', '-qq', '-s', '2000000', '-e', `trace=${SYSTEM_CALLS}`, '-e', 'signal=none'],
  ...['-o', trace]
]

const text = (hex: string): string => bytes(hex).toString()
const bytes = (hex = ''): Buffer => Buffer.from(hex.replaceAll('\\x', ''), 'hex')
const strings = (line: string): string[] => [...line.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex]) => hex!)
/** Paths of descriptors: `21<\x2f…>`. */
const described = (line: string): string[] =>
  [...line.matchAll(/\d+<((?:\\x[0-9a-f]{2})+)>/g)].map(([, hex]) => text(hex!))

/** Calls that several threads had under way at once are told in two parts. */
function whole(lines: string): string[] {
  const begun = new Map<string, string>()
  const calls: string[] = []
  for (const line of lines.split('\n')) {
    const [, thread, rest] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (thread === undefined || rest === undefined) continue
    if (rest.endsWith('<unfinished ...>')) begun.set(thread, rest.slice(0, -'<unfinished ...>'.length))
    else if (rest.startsWith('<... ')) calls.push((begun.get(thread) ?? '') + rest.replace(/^<\.\.\. \w+ resumed>/, ''))
    else calls.push(rest)
  }
  return calls
}

/** @param acknowledgements path of the file to which the program writes what it acknowledges */
export function stepsIn(lines: string, directory: string, acknowledgements: string): Step[] {
  const steps: Step[] = []
  const within = (path: string | undefined): path is string =>
    path !== undefined && (path === directory || path.startsWith(`${directory}/`))
  for (const call of whole(lines)) {
    const [, name, rest, result] = /^(\w+)\((.*?)\s*\)\s+=\s+(-?\d+)/.exec(call) ?? []
    if (name === undefined || rest === undefined || Number(result) < 0) continue
    const step = stepOf(name, rest, Number(result))
    if (step?.what === 'write' && step.path === acknowledgements)
      steps.push({ what: 'acknowledge', text: step.bytes.toString() })
    else if (step !== undefined && 'path' in step && within(step.path)) steps.push(step)
  }
  return steps
}

function stepOf(name: string, rest: string, result: number): Step | undefined {
  const [from, to] = strings(rest).map(text)
  const [file, other] = described(rest)
  switch (name) {
    case 'openat':
      if (!rest.includes('O_CREAT')) return undefined
      return { what: 'open', path: from!, fresh: rest.includes('O_TRUNC'), append: rest.includes('O_APPEND') }
    case 'pwrite64':
      return { what: 'write', path: file!, at: Number(/, (\d+)$/.exec(rest)![1]), bytes: bytes(strings(rest)[0]) }
    case 'write':
      return { what: 'write', path: file!, at: undefined, bytes: bytes(strings(rest)[0]).subarray(0, result) }
    case 'writev':
    case 'pwritev': {
      const joined = Buffer.concat(strings(rest).map((one) => bytes(one))).subarray(0, result)
      return {
        what: 'write',
        path: file!,
        at: name === 'writev' ? undefined : Number(/, (\d+)$/.exec(rest)![1]),
        bytes: joined
      }
    }
    case 'ftruncate':
      return { what: 'truncate', path: file!, length: Number(/, (\d+)$/.exec(rest)![1]) }
    case 'fsync':
    case 'fdatasync':
      return { what: 'sync', path: file! }
    case 'copy_file_range':
      return { what: 'copy', from: file!, path: other!, length: result }
    case 'sendfile':
      return { what: 'copy', from: other!, path: file!, length: result }
    case 'link':
    case 'linkat':
      return { what: 'link', from: from!, path: to! }
    case 'rename':
    case 'renameat':
    case 'renameat2':
      return { what: 'rename', from: from!, path: to! }
    case 'unlink':
      return { what: 'unlink', path: from! }
    case 'unlinkat':
      return { what: rest.includes('AT_REMOVEDIR') ? 'rmdir' : 'unlink', path: from! }
    case 'rmdir':
    case 'mkdir':
      return { what: name, path: from! }
    case 'mkdirat':
      return { what: 'mkdir', path: from! }
    default:
      if (name === 'ioctl' && rest.includes('FICLONE'))
        return { what: 'copy', from: other!, path: file!, length: Number.POSITIVE_INFINITY }
      return undefined
  }
}
