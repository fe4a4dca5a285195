/** The attacker's process: `attacker.ts NAME PEER ADDRESS`, until it is told to end or its parent is gone. */
import { testFleet } from '../../test/src/upgrade/fleet.ts'
import { ATTACKS } from './attacks.ts'

const [name, id, address] = process.argv.slice(2) as [string, string, string]
process.on('disconnect', () => process.exit(1))
const once = await ATTACKS[name]!({ id, address, fleet: testFleet(0) })
let times = 0
let refused = 0
process.on('message', () => process.send!({ times, refused }, () => process.exit(0)))
process.send!('ready')
for (;;) {
  try {
    await once()
  } catch {
    // The victim defends itself: that is told, and it goes on.
    refused += 1
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  times += 1
}
