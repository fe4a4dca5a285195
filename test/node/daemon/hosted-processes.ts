/** What a daemon has started, by what the command lines say (SPEC H6). */
import { execFileSync } from 'node:child_process'

export interface HostedProcess {
  pid: number
  parent: number
  /** `object`, `transform`, or `other`. */
  role: string
  /** Version that it is of; 0 where that is not said. */
  version: number
}

/** Hosted processes that were told of a directory, whoever is their parent now. */
export function hostedProcesses(directory: string): HostedProcess[] {
  const lines = execFileSync('ps', ['-axww', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n')
  return lines.flatMap((line) => {
    const [, pid, parent, args] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []
    if (args === undefined || !args.includes(directory) || !/node\/host\/main/.test(args)) return []
    const [, role, version] = / (object|transform) \S+ (\d+)$/.exec(args) ?? []
    return [{ pid: Number(pid), parent: Number(parent), role: role ?? 'other', version: Number(version ?? 0) }]
  })
}
