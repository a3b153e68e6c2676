import { closeSync } from 'node:fs'

/** Enough for a walk through a tree, which comes back to each of the directories above. */
const MAX_OPEN = 16

/**
 * The directories that were used last, kept open by the path that led there. A path that may lead elsewhere from now on
 * must be forgotten.
 */
export class OpenDirectories {
  readonly #openPath: (path: string) => number
  /** Least recently used first. */
  readonly #descriptors = new Map<string, number>()

  /** @param openPath a new descriptor, which is closed here */
  constructor(openPath: (path: string) => number) {
    this.#openPath = openPath
  }

  /** The descriptor is good until as many other paths as can be open were asked for, or all are forgotten. */
  get(path: string): number {
    const known = this.#descriptors.get(path)
    if (known === undefined) return this.keep(path, this.#openPath(path))
    this.#descriptors.delete(path)
    this.#descriptors.set(path, known)
    return known
  }

  /** Takes a descriptor of a path that was not open. */
  keep(path: string, descriptor: number): number {
    this.#descriptors.set(path, descriptor)
    const [oldest] = this.#descriptors
    if (oldest !== undefined && this.#descriptors.size > MAX_OPEN) {
      this.#descriptors.delete(oldest[0])
      closeSync(oldest[1])
    }
    return descriptor
  }

  forgetAll(): void {
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor)
    this.#descriptors.clear()
  }
}
