import { nodeStoreFiles, type StoreFile, type StoreFiles } from '../../../src/store/store-files.ts'

/** What happens at the Nth call: it alone fails as on a full disk, or it and all after it fail as in a dead process. */
export type Fault = 'full' | 'crash'

/** Real files whose Nth change of the disk goes wrong. */
export class FaultyFiles implements StoreFiles {
  calls = 0
  #fault: Fault | undefined
  #at = 0
  #onCrash: () => void = () => undefined

  /** @param at counts from 1, from here on */
  arm(fault: Fault, at: number, onCrash: () => void = () => undefined): void {
    this.#fault = fault
    this.#at = at
    this.#onCrash = onCrash
    this.calls = 0
  }

  disarm(): void {
    this.#fault = undefined
    this.calls = 0
  }

  create = async (path: string): Promise<StoreFile> =>
    this.#file(await this.#try(() => nodeStoreFiles.create(path)))
  open = async (path: string): Promise<StoreFile> =>
    this.#file(await this.#try(() => nodeStoreFiles.open(path)))
  write = (path: string, content: string): Promise<void> =>
    this.#try(
      () => nodeStoreFiles.write(path, content),
      () => nodeStoreFiles.write(path, content.slice(0, content.length / 2)),
    )
  unlink = (path: string): Promise<void> => this.#try(() => nodeStoreFiles.unlink(path))
  renameSync = (from: string, to: string): void => this.#trySync(() => nodeStoreFiles.renameSync(from, to))
  setModeSync = (path: string, mode: number): void =>
    this.#trySync(() => nodeStoreFiles.setModeSync(path, mode))
  makeFolderSync = (path: string): void => this.#trySync(() => nodeStoreFiles.makeFolderSync(path))
  syncFolder = (path: string): Promise<void> => this.#try(() => nodeStoreFiles.syncFolder(path))
  syncFolderSync = (path: string): void => this.#trySync(() => nodeStoreFiles.syncFolderSync(path))

  #file(file: StoreFile): StoreFile {
    return {
      write: (chunks, position) =>
        this.#try(
          () => file.write(chunks, position),
          // A full disk takes a part.
          () => file.write([Buffer.concat(chunks).subarray(0, 1000)], position),
        ),
      truncate: size => this.#try(() => file.truncate(size)),
      read: (buffer, position) => this.#try(() => file.read(buffer, position)),
      size: () => this.#try(() => file.size()),
      sync: () => this.#try(() => file.sync()),
      // A dead process has its files closed by the kernel.
      close: () => file.close(),
    }
  }

  async #try<T>(action: () => Promise<T>, half?: () => Promise<void>): Promise<T> {
    const fault = this.#next()
    if (fault === undefined) return action()
    await half?.()
    throw fault
  }

  #trySync(action: () => void): void {
    const fault = this.#next()
    if (fault !== undefined) throw fault
    action()
  }

  #next(): Error | undefined {
    this.calls++
    if (this.#fault === undefined || this.calls < this.#at) return undefined
    if (this.#fault === 'full')
      return this.calls === this.#at
        ? Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC', syscall: 'write' })
        : undefined
    if (this.calls === this.#at) this.#onCrash()
    return new Error('the process is dead')
  }
}
