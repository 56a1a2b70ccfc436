namespace Spectral.Training.Tokenization;

/// <summary>
/// Merges the symbols of one piece, always the pair of lowest rank and the leftmost of equal ones. A linked list and a
/// heap of candidates give O(n log n) for n symbols. Candidates that an earlier merge has made invalid are recognised
/// when they are taken from the heap.
/// </summary>
internal sealed class BpeMerger(PairTable merges)
{
    private const int End = -1;

    private Symbol[] _symbols = new Symbol[64];
    private ulong[] _heap = new ulong[64];
    private int _count;
    private int _candidates;

    /// <summary>Appends a symbol to the piece.</summary>
    public void Add(int symbol)
    {
        if (_count == _symbols.Length)
            Array.Resize(ref _symbols, checked(2 * _count));
        _symbols[_count] = new Symbol
        {
            Id = symbol,
            Previous = _count - 1,
            Next = _count + 1,
        };
        _count++;
    }

    /// <summary>Merges the symbols added so far, appends the remaining ids and starts a new piece.</summary>
    public void Run(List<int> ids)
    {
        if (_count > 0)
            _symbols[_count - 1].Next = End;
        _candidates = 0;
        for (int at = 0; at < _count - 1; at++)
            Offer(at);
        while (_candidates > 0)
        {
            ulong candidate = Pop();
            int at = (int)(uint)candidate;
            if (_symbols[at].Merge == PairTable.None || PairTable.Rank(_symbols[at].Merge) != PairTable.Rank(candidate))
                continue;
            Join(at);
        }
        for (int at = _count > 0 ? 0 : End; at != End; at = _symbols[at].Next)
            ids.Add(_symbols[at].Id);
        _count = 0;
    }

    private void Join(int at)
    {
        ref Symbol symbol = ref _symbols[at];
        ref Symbol right = ref _symbols[symbol.Next];
        symbol.Id = PairTable.Id(symbol.Merge);
        symbol.Next = right.Next;
        right.Merge = PairTable.None;
        if (symbol.Next == End)
        {
            symbol.Merge = PairTable.None;
        }
        else
        {
            _symbols[symbol.Next].Previous = at;
            Offer(at);
        }
        if (symbol.Previous >= 0)
            Offer(symbol.Previous);
    }

    // Looks up the merge of a symbol with the next one. If there is one, the place becomes a candidate.
    private void Offer(int at)
    {
        ref Symbol symbol = ref _symbols[at];
        symbol.Merge = merges.Find(symbol.Id, _symbols[symbol.Next].Id);
        if (symbol.Merge != PairTable.None)
            Push(((ulong)PairTable.Rank(symbol.Merge) << 32) | (uint)at);
    }

    private void Push(ulong candidate)
    {
        if (_candidates == _heap.Length)
            Array.Resize(ref _heap, checked(2 * _candidates));
        int at = _candidates++;
        while (at > 0 && _heap[(at - 1) / 2] > candidate)
        {
            _heap[at] = _heap[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        _heap[at] = candidate;
    }

    private ulong Pop()
    {
        ulong least = _heap[0];
        ulong moved = _heap[--_candidates];
        int at = 0;
        for (int child; (child = (2 * at) + 1) < _candidates; at = child)
        {
            if (child + 1 < _candidates && _heap[child + 1] < _heap[child])
                child++;
            if (_heap[child] >= moved)
                break;
            _heap[at] = _heap[child];
        }
        _heap[at] = moved;
        return least;
    }

    private struct Symbol
    {
        public int Id;
        public int Previous;
        public int Next;

        // The merge with the next symbol. A candidate in the heap is valid only while this is the merge for which it
        // was added.
        public ulong Merge;
    }
}
