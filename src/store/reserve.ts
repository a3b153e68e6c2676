/**
 * A file of noise (zeros may take no space) that lies there until the disk is full. What frees space must itself write first: SQLite's log
 * and its index grow before a row is deleted, and even opening a database needs some. Then the reserve goes, and comes
 * back when there is room again.
 */
import { randomBytes } from 'node:crypto'
import { statSync, unlinkSync, writeFileSync } from 'node:fs'
import { isErrno } from '../oci/errors.ts'
import { StoreError } from './errors.ts'
import type { StoreLayout } from './store-layout.ts'

/** What SQLite's log grows to before it is written back. */
const RESERVE_BYTES = 4 * 1024 * 1024
/** Enough for a deletion or two. */
const LEAST_BYTES = RESERVE_BYTES / 8

/** Costs a look when it is there. Without room for it, it is smaller until a later time: what was just used must not be lost to pushes. */
export function makeReserve({ reserve }: StoreLayout): void {
  if (statSync(reserve, { throwIfNoEntry: false })?.size === RESERVE_BYTES) return
  releaseReserve({ reserve })
  for (let bytes = RESERVE_BYTES; bytes >= LEAST_BYTES; bytes /= 2) if (writeReserve(reserve, bytes)) return
}

/** False when it does not fit. */
function writeReserve(reserve: string, bytes: number): boolean {
  try {
    writeFileSync(reserve, randomBytes(bytes), { mode: 0o600, flag: 'wx' })
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return true
    if (!isErrno(error, 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES')) throw error
    releaseReserve({ reserve })
    return false
  }
}

/** Does what frees space, a second time with the reserve's room when the disk is full. */
export async function withReserve<T>(layout: StoreLayout, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    const isFull = error instanceof StoreError && error.code === 'store-full'
    if (!isFull || !releaseReserve(layout)) throw error
  }
  try {
    return await action()
  } finally {
    makeReserve(layout)
  }
}

/** True when there was one. */
function releaseReserve({ reserve }: Pick<StoreLayout, 'reserve'>): boolean {
  try {
    unlinkSync(reserve)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EROFS', 'EACCES')) return false
    throw error
  }
}
