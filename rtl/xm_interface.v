// SPDX-License-Identifier: BSD-3-Clause
//
// A data path and its memory of keys. The registers and queues in front of it are not here:
// they are transports/model/device.c, also where this is what moves the bytes.
//
// The fence is 1 while the access that moves bytes is of the entry `fence_index`.

module xm_interface #(
	parameter KEYS_LOG2 = 12,
	parameter ADDRESS = 40,
	parameter LENGTH_LOG2 = 22
) (
	input wire clock,
	input wire reset,

	input wire key_write,
	input wire [63:0] key_value,
	input wire [63:0] key_owner,
	input wire [ADDRESS-1:0] key_base,
	input wire [ADDRESS:0] key_size,
	input wire [1:0] key_rights,
	input wire [KEYS_LOG2-1:0] fence_index,
	output wire fence,

	input wire access_valid,
	output wire access_ready,
	input wire access_write,
	input wire [63:0] access_owner,
	input wire [63:0] access_key,
	input wire [63:0] access_offset,
	input wire [63:0] access_length,

	output wire memory_request,
	output wire memory_write,
	output wire [ADDRESS-1:3] memory_address,
	output wire [7:0] memory_enable,
	output wire [63:0] memory_out,
	input wire memory_ack,
	input wire [63:0] memory_in,

	input wire in_valid,
	output wire in_ready,
	input wire [63:0] in_data,
	output wire out_valid,
	input wire out_ready,
	output wire [63:0] out_data,

	output wire end_valid,
	input wire end_ready,
	output wire [2:0] end_status
);
	localparam ENTRY = 2 + 64 + (64 - KEYS_LOG2) + ADDRESS + (ADDRESS + 1);

	wire entry_read, moving;
	wire [KEYS_LOG2-1:0] entry_index;
	wire [1:0] entry_rights;
	wire [63:0] entry_owner;
	wire [63:KEYS_LOG2] entry_key;
	wire [ADDRESS-1:0] entry_base;
	wire [ADDRESS:0] entry_size;

	assign fence = moving && entry_index == fence_index;

	xm_keys #(.KEYS_LOG2(KEYS_LOG2), .ENTRY(ENTRY)) keys (
		.clock(clock),
		.write(key_write),
		.write_index(key_value[KEYS_LOG2-1:0]),
		.write_entry({key_rights, key_owner, key_value[63:KEYS_LOG2], key_base,
			key_size}),
		.read(entry_read),
		.read_index(entry_index),
		.read_entry({entry_rights, entry_owner, entry_key, entry_base, entry_size})
	);

	xm_path #(.KEYS_LOG2(KEYS_LOG2), .ADDRESS(ADDRESS), .LENGTH_LOG2(LENGTH_LOG2)) path (
		.clock(clock),
		.reset(reset),
		.access_valid(access_valid),
		.access_ready(access_ready),
		.access_write(access_write),
		.access_owner(access_owner),
		.access_key(access_key),
		.access_offset(access_offset),
		.access_length(access_length),
		.entry_read(entry_read),
		.entry_index(entry_index),
		.entry_rights(entry_rights),
		.entry_owner(entry_owner),
		.entry_key(entry_key),
		.entry_base(entry_base),
		.entry_size(entry_size),
		.memory_request(memory_request),
		.memory_write(memory_write),
		.memory_address(memory_address),
		.memory_enable(memory_enable),
		.memory_out(memory_out),
		.memory_ack(memory_ack),
		.memory_in(memory_in),
		.in_valid(in_valid),
		.in_ready(in_ready),
		.in_data(in_data),
		.out_valid(out_valid),
		.out_ready(out_ready),
		.out_data(out_data),
		.end_valid(end_valid),
		.end_ready(end_ready),
		.end_status(end_status),
		.moving(moving)
	);
endmodule
