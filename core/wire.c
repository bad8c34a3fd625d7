/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

const char *xm_message_name(enum xm_message_kind kind)
{
	static const char *const names[] = {
		[XM_HELLO] = "HELLO",	  [XM_WELCOME] = "WELCOME",
		[XM_REFUSED] = "REFUSED", [XM_TICKET] = "TICKET",
		[XM_TICKETED] = "TICKETED", [XM_TAKE] = "TAKE",
		[XM_TAKEN] = "TAKEN",	  [XM_TRIM] = "TRIM",
		[XM_GIVE] = "GIVE",	  [XM_GAVE] = "GAVE",
		[XM_LIST] = "LIST",	  [XM_LISTED] = "LISTED",
		[XM_STATUS] = "STATUS",	  [XM_STATE] = "STATE",
		[XM_PING] = "PING",	  [XM_PONG] = "PONG",
		[XM_BYE] = "BYE",	  [XM_LEAVING] = "LEAVING",
	};

	if ((size_t)kind >= XM_COUNT(names) || !names[kind])
		return "?";
	return names[kind];
}
