/**
 * Entry point of a hosted process (SPEC H4). The cache of compiled code saves most of the time that the process needs
 * before it can take over from another; it must be on before anything else is imported.
 */
import { enableCompileCache } from 'node:module'

enableCompileCache(process.argv[4])
await import('./hosted.ts')
