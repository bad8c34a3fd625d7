// SPDX-License-Identifier: BSD-3-Clause
//
// The data path of an appliance's interface: takes one access, looks up its key, checks it,
// moves its bytes between a memory bus and a wire, and ends it with a status. The same as
// transports/model/datapath.c, cycle by cycle; datapath.h has the order of the checks and
// the table of costs.
//
// Words are of 64 bits, the first byte lowest. A word of the wire begins with the first
// byte of the access, a word of memory at an address that is a multiple of 8: `shift` is
// how many bytes lie between them, `carry` what of one word belongs to the next.
//
// Handshakes: a transfer takes place in a cycle in which valid and ready are both 1. The
// memory bus holds `memory_request` until `memory_ack`, which ends the access of a word;
// read data are taken in that cycle. No output depends on an input of the same cycle.
//
// A refused access touches neither memory nor wire. Nothing in the checks is added that
// could wrap: bounds are asked by two comparisons and one difference that cannot be negative.

module xm_path #(
	parameter KEYS_LOG2 = 12,
	parameter ADDRESS = 40,
	parameter LENGTH_LOG2 = 22 // the longest access has 2^22 bytes
) (
	input wire clock,
	input wire reset,

	input wire access_valid,
	output wire access_ready,
	input wire access_write,
	input wire [63:0] access_owner,
	input wire [63:0] access_key,
	input wire [63:0] access_offset,
	input wire [63:0] access_length,

	output wire entry_read,
	output wire [KEYS_LOG2-1:0] entry_index,
	input wire [1:0] entry_rights, // 0: to read; 1: to write
	input wire [63:0] entry_owner,
	input wire [63:KEYS_LOG2] entry_key,
	input wire [ADDRESS-1:0] entry_base,
	input wire [ADDRESS:0] entry_size,

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
	output wire [2:0] end_status,

	output wire moving // checked, and not ended
);
	localparam WORDS = LENGTH_LOG2 - 1; // bits of a count of words, of 0 .. 2^19 + 1

	localparam [2:0] IDLE = 0, LOOKUP = 1, CHECK = 2, FETCH = 3, GIVE = 4, TAKE = 5,
		STORE = 6, END = 7;
	localparam [2:0] DONE = 0, NO_LENGTH = 1, NO_KEY = 2, NO_BOUNDS = 3, NO_RIGHT = 4;

	reg [2:0] state, status;
	reg write, first;
	reg [63:0] owner, key, offset, length;
	reg [ADDRESS-1:3] address;
	reg [2:0] shift, tail;
	reg [WORDS-1:0] words, beats; // of memory and of the wire, still to come
	reg [63:0] data, carry;

	// The check, of what was asked and the entry that it names.
	wire length_good = length != 0 && length <= (64'd1 << LENGTH_LOG2);
	wire key_good = entry_rights != 0 && entry_owner == owner &&
		entry_key == key[63:KEYS_LOG2];
	wire [63:0] size = {{(63 - ADDRESS){1'b0}}, entry_size};
	wire [63:0] room = size - offset;
	wire bounds_good = offset <= size && length <= room;
	wire right_good = write ? entry_rights[1] : entry_rights[0];
	wire [2:0] answer = !length_good ? NO_LENGTH : !key_good ? NO_KEY :
		!bounds_good ? NO_BOUNDS : !right_good ? NO_RIGHT : DONE;

	// Where it begins; only meant if the answer is DONE, and then it does not wrap.
	wire [ADDRESS-1:0] at = entry_base + offset[ADDRESS-1:0];
	wire [LENGTH_LOG2+1:0] span = {1'b0, length[LENGTH_LOG2:0]} +
		{{(LENGTH_LOG2-1){1'b0}}, at[2:0]};

	wire [5:0] down = {shift, 3'b000};
	wire [5:0] up = 6'd0 - down; // 64 - down, where shift is not 0
	wire aligned = shift == 0;
	wire last_word = words == 1;

	assign access_ready = state == IDLE;
	assign entry_read = state == LOOKUP;
	assign entry_index = key[KEYS_LOG2-1:0];
	assign memory_request = state == FETCH || state == STORE;
	assign memory_write = state == STORE;
	assign memory_address = address;
	assign memory_enable = (first ? 8'hff << shift : 8'hff) &
		(last_word && tail != 0 ? ~(8'hff << tail) : 8'hff);
	assign memory_out = data;
	assign in_ready = state == TAKE;
	assign out_valid = state == GIVE;
	assign out_data = data;
	assign end_valid = state == END;
	assign end_status = status;
	assign moving = state > CHECK;

	always @(posedge clock) begin
		case (state)
		IDLE: if (access_valid) begin
			write <= access_write;
			owner <= access_owner;
			key <= access_key;
			offset <= access_offset;
			length <= access_length;
			state <= LOOKUP;
		end
		LOOKUP: state <= CHECK;
		CHECK: begin
			status <= answer;
			address <= at[ADDRESS-1:3];
			shift <= at[2:0];
			tail <= span[2:0];
			words <= span[LENGTH_LOG2+1:3] + {{(WORDS-1){1'b0}}, span[2:0] != 0};
			beats <= {1'b0, length[LENGTH_LOG2:3]} + {{(WORDS-1){1'b0}}, length[2:0] != 0};
			carry <= 0;
			first <= 1;
			state <= answer != DONE ? END : write ? TAKE : FETCH;
		end
		FETCH: if (memory_ack) begin
			address <= address + 1;
			words <= words - 1;
			first <= 0;
			carry <= memory_in;
			data <= aligned ? memory_in :
				first ? memory_in >> down :
				carry >> down | memory_in << up;
			// One word is not enough where the second has a part of the first beat.
			state <= first && !aligned && !last_word ? FETCH : GIVE;
		end
		GIVE: if (out_ready) begin
			beats <= beats - 1;
			data <= carry >> down;
			state <= beats == 1 ? END : words == 0 ? GIVE : FETCH;
		end
		TAKE: if (in_valid) begin
			beats <= beats - 1;
			data <= in_data << down | carry;
			carry <= aligned ? 64'd0 : in_data >> up;
			state <= STORE;
		end
		STORE: if (memory_ack) begin
			address <= address + 1;
			words <= words - 1;
			first <= 0;
			data <= carry;
			state <= last_word ? END : beats == 0 ? STORE : TAKE;
		end
		END: if (end_ready)
			state <= IDLE;
		endcase
		if (reset)
			state <= IDLE;
	end
endmodule
