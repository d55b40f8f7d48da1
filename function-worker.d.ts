/**
 * Importing this, in the file that was given to `setWorkerFile`, starts the worker: it takes calls from then on. It exports
 * nothing, and is of use in such a file only.
 */
export {}
