/** Command line of the simulator; what does I/O is here and in what it imports, a run does none (SPEC M1). */
import { simulate } from './command.ts'

process.exitCode = await simulate(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  screen: process.stderr,
  environment: process.env
})
