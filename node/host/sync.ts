/** Makes files and directories durable. */
import { mkdir, open, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Files synced at once: enough for a disk's queue, few enough for descriptors. */
const SYNC_WIDTH = 16

/** Syncs every file and directory, the leaves first. */
export async function syncTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  for (let at = 0; at < files.length; at += SYNC_WIDTH) {
    await Promise.all(files.slice(at, at + SYNC_WIDTH).map((file) => syncOne(join(directory, file.name))))
  }
  for (const entry of entries) if (entry.isDirectory()) await syncTree(join(directory, entry.name))
  await syncOne(directory)
}

export async function syncOne(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Makes a directory, and the one that it lies in (an object's, of its attempts), whose names both outlive a loss of power.
 * They may have been made before by a process that died before it synced them. What lies above is there since the start.
 */
export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  const parent = dirname(directory)
  await syncOne(parent)
  await syncOne(dirname(parent))
}
