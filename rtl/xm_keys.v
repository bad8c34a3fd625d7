// SPDX-License-Identifier: BSD-3-Clause
//
// The memory of keys: a RAM of one write port and one read port, each of a cycle. It has
// no reset: who controls it writes each entry dead (without rights) before the first
// access. A read of an entry in the cycle in which it is written gives the old one; so an
// access that was checked in that cycle goes on, and the fence of xm_interface.v says so.
//
// An entry lacks the low bits of its key, which are its number.

module xm_keys #(
	parameter KEYS_LOG2 = 12,
	parameter ENTRY = 199
) (
	input wire clock,
	input wire write,
	input wire [KEYS_LOG2-1:0] write_index,
	input wire [ENTRY-1:0] write_entry,
	input wire read,
	input wire [KEYS_LOG2-1:0] read_index,
	output reg [ENTRY-1:0] read_entry
);
	reg [ENTRY-1:0] memory [0:(1 << KEYS_LOG2)-1];

	always @(posedge clock) begin
		if (write)
			memory[write_index] <= write_entry;
		if (read)
			read_entry <= memory[read_index];
	end
endmodule
