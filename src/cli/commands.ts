import type { Command } from './command.ts'

/** Every command, in the order of the help; a command's code is loaded when it runs. */
export const COMMANDS = {
  build: 'Build an image from a Dockerfile',
  serve: 'Serve the images of the store as a registry',
  user: 'Manage who may log in to the registry',
  token: 'Manage tokens with which programs use the registry',
  push: 'Send an image to a registry',
  pull: 'Fetch an image from a registry',
  copy: 'Copy an image between registries, the store and files',
  import: 'Make an image from a root filesystem tar',
  save: 'Write images to an archive',
  load: 'Read images from an archive',
  images: 'List images',
  tag: 'Give an image another name',
  rmi: 'Remove names of images',
  inspect: 'Show what an image is',
  history: 'Show how an image was made',
  prune: 'Remove the build cache',
  retain: 'Delete tags that the retention rules do not keep',
  gc: 'Delete content that nothing refers to',
  backup: 'Copy the store while it is in use',
  verify: 'Check that all content is what it was',
  doctor: 'Show what builds can do on this machine',
  version: 'Show the version',
} as const

export async function loadCommand(name: keyof typeof COMMANDS): Promise<Command> {
  const module: { readonly command: Command } = await import(`./commands/${name}.ts`)
  return module.command
}
