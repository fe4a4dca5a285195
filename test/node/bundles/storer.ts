/** A process that stores all pieces of the sample, then unpacks it, saying each step once it is done; the test kills it. */
import { writeSync } from 'node:fs'
import { openBundles } from '../../../node/bundles/bundles.ts'
import { sample } from './sample.ts'

const { table, piece } = await sample()
const bundles = await openBundles(process.argv[2]!)
await Promise.all(
  table.pieces.map(async (_, index) => {
    await bundles.store(table, index, piece(index))
    writeSync(1, `stored ${index}\n`)
  })
)
writeSync(1, 'unpacking\n')
await bundles.unpack(table)
writeSync(1, 'unpacked\n')
await bundles.close()
