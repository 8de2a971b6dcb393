// Makes garbage of three kinds, keeps a part of it for a while, and collects it.
'use strict';

const ROUNDS = 6;
const TREES = 24;
const DEPTH = 10;
const KEPT_ROUNDS = 2;

function tree(depth, label) {
  if (depth === 0) return { label, left: null, right: null };
  return { label, left: tree(depth - 1, label), right: tree(depth - 1, label) };
}

function weight(node) {
  return node === null ? 0 : 1 + weight(node.left) + weight(node.right);
}

const kept = [];
let total = 0;
for (let round = 0; round < ROUNDS; round++) {
  const trees = Array.from({ length: TREES }, (_, i) => tree(DEPTH, round * TREES + i));
  const numbers = Array.from({ length: 8 }, (_, i) => new Float64Array(32768).fill(i));
  const words = Array.from({ length: 2000 }, (_, i) => `${round} ${i}`.padEnd(40, 'x'));
  // Half of the trees and one array survive this round; all survive until the young are collected.
  global.gc({ type: 'minor' });
  kept.push({ trees: trees.filter((_, i) => i % 2 === 0), numbers: numbers[round], words });
  if (kept.length > KEPT_ROUNDS) kept.shift();
  global.gc();
  for (const survivor of kept) {
    total += survivor.trees.reduce((sum, root) => sum + weight(root), 0);
    total += survivor.numbers[0] + survivor.words.length;
  }
}
console.log(total);
