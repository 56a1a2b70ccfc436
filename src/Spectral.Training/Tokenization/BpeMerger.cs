namespace Spectral.Training.Tokenization;

/// <summary>
/// Merges the symbols of one piece: always the pair of lowest rank, the leftmost of equals. A linked list and a heap of
/// candidate places keep a piece of n symbols at O(n log n); candidates that a merge has overtaken are recognised when
/// they come up.
/// </summary>
internal sealed class BpeMerger(PairTable merges)
{
    private const int End = -1;

    private Symbol[] symbols = new Symbol[64];
    private ulong[] heap = new ulong[64];
    private int count;
    private int candidates;

    /// <summary>Appends a symbol to the piece.</summary>
    public void Add(int symbol)
    {
        if (count == symbols.Length)
            Array.Resize(ref symbols, checked(2 * count));
        symbols[count] = new Symbol
        {
            Id = symbol,
            Previous = count - 1,
            Next = count + 1,
        };
        count++;
    }

    /// <summary>Merges what was added, appends the ids that remain and begins a new piece.</summary>
    public void Run(List<int> ids)
    {
        if (count > 0)
            symbols[count - 1].Next = End;
        candidates = 0;
        for (int at = 0; at < count - 1; at++)
            Offer(at);
        while (candidates > 0)
        {
            ulong candidate = Pop();
            int at = (int)(uint)candidate;
            if (symbols[at].Merge == PairTable.None || PairTable.Rank(symbols[at].Merge) != PairTable.Rank(candidate))
                continue;
            Join(at);
        }
        for (int at = count > 0 ? 0 : End; at != End; at = symbols[at].Next)
            ids.Add(symbols[at].Id);
        count = 0;
    }

    private void Join(int at)
    {
        ref Symbol symbol = ref symbols[at];
        ref Symbol right = ref symbols[symbol.Next];
        symbol.Id = PairTable.Id(symbol.Merge);
        symbol.Next = right.Next;
        right.Merge = PairTable.None;
        if (symbol.Next == End)
        {
            symbol.Merge = PairTable.None;
        }
        else
        {
            symbols[symbol.Next].Previous = at;
            Offer(at);
        }
        if (symbol.Previous >= 0)
            Offer(symbol.Previous);
    }

    // Finds the merge of a symbol with the next one and makes the place a candidate if there is one.
    private void Offer(int at)
    {
        ref Symbol symbol = ref symbols[at];
        symbol.Merge = merges.Find(symbol.Id, symbols[symbol.Next].Id);
        if (symbol.Merge != PairTable.None)
            Push(((ulong)PairTable.Rank(symbol.Merge) << 32) | (uint)at);
    }

    private void Push(ulong candidate)
    {
        if (candidates == heap.Length)
            Array.Resize(ref heap, checked(2 * candidates));
        int at = candidates++;
        while (at > 0 && heap[(at - 1) / 2] > candidate)
        {
            heap[at] = heap[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        heap[at] = candidate;
    }

    private ulong Pop()
    {
        ulong least = heap[0];
        ulong moved = heap[--candidates];
        int at = 0;
        for (int child; (child = (2 * at) + 1) < candidates; at = child)
        {
            if (child + 1 < candidates && heap[child + 1] < heap[child])
                child++;
            if (heap[child] >= moved)
                break;
            heap[at] = heap[child];
        }
        heap[at] = moved;
        return least;
    }

    private struct Symbol
    {
        public int Id;
        public int Previous;
        public int Next;

        // With the next symbol. A place in the heap stands for a merge only as long as this is the one it was put there
        // for.
        public ulong Merge;
    }
}
