/** Input after input to target after target: what ends otherwise than with success or a typed refusal is a defect. */
import { CallError, Refusal } from '../../src/errors.ts'
import { Generator } from '../../src/prng.ts'
import { Mutations } from './mutation.ts'
import { type Target, targets } from './targets.ts'

export interface Tally {
  inputs: number
  accepted: number
  refused: number
  worstMs: number
  /** The first few, with the input in base64. */
  defects: string[]
}

const MOST_DEFECTS = 5

export async function fuzz(
  inputs: number,
  seed: number,
  told: (done: number) => void = () => undefined
): Promise<Map<string, Tally>> {
  const random = new Generator(seed)
  const mutations = new Mutations(random)
  const all = await targets()
  const tallies = new Map<string, Tally>()
  for (const { name } of all) tallies.set(name, { inputs: 0, accepted: 0, refused: 0, worstMs: 0, defects: [] })
  for (let done = 0; done < inputs; ) {
    const target = random.pick(all)
    if (!random.chance(1 / (target.rarity ?? 1))) continue
    done += 1
    await one(target, inputFor(target, random, mutations), tallies.get(target.name)!)
    if (done % 20_000 === 0) told(done)
  }
  for (const target of all) target.end?.()
  return tallies
}

function inputFor({ inputs, form }: Target, random: Generator, mutations: Mutations): Uint8Array {
  const valid = random.pick(inputs)
  // What is said in the wrong place may be as bad as what is wrong.
  if (random.chance(0.1)) return valid
  if (form === undefined || random.chance(0.3)) return mutations.ofBytes(valid, inputs)
  try {
    return form.write(mutations.ofValue(form.read(valid)))
  } catch {
    // What cannot be written cannot be sent either (reported by nobody: it is no input).
    return mutations.ofBytes(valid, inputs)
  }
}

async function one(target: Target, input: Uint8Array, tally: Tally): Promise<void> {
  tally.inputs += 1
  const begunMs = performance.now()
  try {
    const taken = target.take(input)
    if (taken !== undefined) await taken
    tally.accepted += 1
  } catch (error) {
    if (error instanceof Refusal || error instanceof CallError) tally.refused += 1
    else if (error instanceof SyntaxError && target.name === 'records of a liar') tally.refused += 1
    else if (tally.defects.length < MOST_DEFECTS)
      tally.defects.push(
        `${(error as Error).stack?.split('\n').slice(0, 4).join(' | ')} ${Buffer.from(input).toString('base64').slice(0, 2000)}`
      )
  }
  tally.worstMs = Math.max(tally.worstMs, performance.now() - begunMs)
}
