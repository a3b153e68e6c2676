const NOBODY = 65_534

/** Runs the task with the rights of an ordinary user: CI is root, to whom no permission is denied. */
export async function asOrdinaryUser<T>(task: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return task()
  process.seteuid?.(NOBODY)
  try {
    return await task()
  } finally {
    process.seteuid?.(0)
  }
}
