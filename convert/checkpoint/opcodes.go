package checkpoint

// The opcodes that torch.save and Python's pickle write, protocols 0 to 5.
const (
	opMark, opStop, opPop, opPopMark, opDup        = '(', '.', '0', '1', '2'
	opFloat, opInt, opBinInt, opBinInt1            = 'F', 'I', 'J', 'K'
	opLong, opBinInt2, opNone, opPersID            = 'L', 'M', 'N', 'P'
	opBinPersID, opReduce, opString                = 'Q', 'R', 'S'
	opBinString, opShortBinString, opUnicode       = 'T', 'U', 'V'
	opBinUnicode, opAppend, opBuild, opGlobal      = 'X', 'a', 'b', 'c'
	opDict, opEmptyDict, opAppends, opGet          = 'd', '}', 'e', 'g'
	opBinGet, opInst, opLongBinGet, opList         = 'h', 'i', 'j', 'l'
	opEmptyList, opObj, opPut, opBinPut            = ']', 'o', 'p', 'q'
	opLongBinPut, opSetItem, opTuple               = 'r', 's', 't'
	opEmptyTuple, opSetItems, opBinFloat           = ')', 'u', 'G'
	opProto, opNewObj, opExt1, opExt2, opExt4      = 0x80, 0x81, 0x82, 0x83, 0x84
	opTuple1, opTuple2, opTuple3                   = 0x85, 0x86, 0x87
	opNewTrue, opNewFalse, opLong1, opLong4        = 0x88, 0x89, 0x8a, 0x8b
	opBinBytes, opShortBinBytes                    = 'B', 'C'
	opShortBinUnicode, opBinUnicode8               = 0x8c, 0x8d
	opBinBytes8, opEmptySet, opAddItems            = 0x8e, 0x8f, 0x90
	opFrozenSet, opNewObjEx, opStackGlobal         = 0x91, 0x92, 0x93
	opMemoize, opFrame, opByteArray8               = 0x94, 0x95, 0x96
	opNextBuffer, opReadonlyBuffer            byte = 0x97, 0x98
)
