/** Writes what a command makes (SPEC C4). */
import { open, rename, rm } from 'node:fs/promises'
import { unwritable } from '../obstacles.ts'

/** Whole or not at all; an existing file is replaced. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.partial`
  const handle = await open(partial, 'w', 0o644).catch(unwritable(path))
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  } finally {
    await handle.close()
  }
  await rename(partial, path).catch(unwritable(path))
}
