// The entry module of the pools that are compared: gives back what it gets.
export default (input) => input
