using Spectral.Kernels;

namespace Spectral.Training.Distributed.Sharding;

/// <summary>
/// The weights of a model of which each rank keeps an equal part. A unit is gathered from all ranks when one of its
/// weights is read, and freed when others are.
/// </summary>
/// <remarks>
/// All ranks take part in gathering, also those that do not need the unit. So a rank says what it needs before, and one
/// that waits for the others in a call on the <see cref="RankGroup"/> serves them meanwhile. Between
/// <see cref="Begin"/> and <see cref="End"/> all ranks read the same units in the same order, which needs no words, and
/// the unit that followed last time is gathered on a second stream while the current one computes.
/// </remarks>
internal sealed class ShardedWeights : IDisposable
{
    /// <summary>The request of a rank that needs nothing.</summary>
    private const int Nothing = -1;

    /// <summary>The units that may be gathered at a time: the one in use, and the one before or after it.</summary>
    private const int AtOnce = 2;

    private readonly RankGroup _ranks;
    private readonly Device _device;
    private readonly ShardedUnit[] _units;
    private readonly List<Func<Tensor>> _slices = [];
    private readonly List<ShardedUnit> _gathered = []; // the one used last at the end
    private readonly Dictionary<(int Before, int Now), ShardedUnit> _followers = [];
    private readonly DeviceStream _side;
    private readonly DeviceEvent _begun;
    private readonly DeviceEvent _arrived;
    private readonly DeviceEvent _summed;
    private ShardedUnit? _current;
    private ShardedUnit? _gradient;
    private int _before = Nothing;
    private bool _isTogether;
    private bool _isUnderWay;
    private bool _isSumming;

    /// <summary>Lays weights out. Their parts are not allocated.</summary>
    /// <param name="device">The device of this rank.</param>
    /// <param name="ranks">The ranks, two or more.</param>
    /// <param name="units">
    /// The shapes of the tensors of each unit, and the bytes of each part of its quantised matrices, in the order of
    /// their use.
    /// </param>
    public ShardedWeights(
        Device device,
        RankGroup ranks,
        IEnumerable<(IReadOnlyList<Shape> Tensors, IReadOnlyList<long[]> Matrices)> units
    )
    {
        (_device, _ranks) = (device, ranks);
        _units = [.. units.Select((unit, number) => new ShardedUnit(this, number, unit.Tensors, unit.Matrices, ranks))];
        (_side, _begun) = (DeviceStream.Create(device), new DeviceEvent(device));
        (_arrived, _summed) = (new DeviceEvent(device), new DeviceEvent(device));
        ranks.BeforeCall = Wait;
    }

    /// <summary>The device of this rank.</summary>
    public Device Device => _device;

    /// <summary>The units, in the order of their use.</summary>
    public IReadOnlyList<ShardedUnit> Units => _units;

    /// <summary>The bytes of weights that this rank holds now: its own parts and the units that are gathered.</summary>
    public long Bytes => _units.Sum(unit => unit.OwnBytes) + GatheredBytes;

    /// <summary>The bytes of the units that are gathered now.</summary>
    public long GatheredBytes => _gathered.Sum(unit => unit.WholeBytes);

    /// <summary>The largest <see cref="Bytes"/> so far.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>Whether all ranks read the same weights in the same order now.</summary>
    public bool IsTogether => _isTogether;

    /// <summary>
    /// Says that all ranks now read the same units in the same order, until <see cref="End"/>. After a failure there
    /// is no end.
    /// </summary>
    public void Begin()
    {
        Close();
        (_isTogether, _before) = (true, Nothing);
    }

    /// <summary>Says that each rank reads what it needs again.</summary>
    public void End()
    {
        Complete();
        Close();
        _isTogether = false;
    }

    /// <summary>Gathers a unit, unless it is here, and frees others.</summary>
    /// <exception cref="Kernels.Driver.CudaException">A rank could not be reached.</exception>
    public void Require(ShardedUnit unit)
    {
        if (unit == _current)
            return;
        if (_isTogether)
            Advance(unit);
        else
            Ask(unit);
        _current = unit;
    }

    /// <summary>Opens the gradient of a unit, after summing that of another one.</summary>
    public void RequireGradient(ShardedUnit unit)
    {
        if (unit == _gradient)
            return;
        Complete();
        unit.OpenGradient();
        _gradient = unit;
    }

    /// <summary>
    /// Adds the gradient that is open, summed over the ranks, to that of this rank's part; nothing if none is open.
    /// </summary>
    public void Complete()
    {
        if (_gradient is not { } unit)
            return;
        if (!_isTogether)
            AskFor(_units.Length + unit.Number);
        using (Tensor whole = unit.TakeGradient())
            Add(unit, whole);
        _gradient = null;
    }

    /// <summary>
    /// Names tensors of which each rank has a part like that of a unit, such as the state of an optimizer, for
    /// <see cref="Whole"/>. All ranks name the same ones in the same order, those of unit 0 to the last in turn.
    /// </summary>
    /// <param name="slices">Return handles to this rank's parts, which are disposed after use.</param>
    public void Name(IEnumerable<Func<Tensor>> slices) => _slices.AddRange(slices);

    /// <summary>
    /// Gathers a named tensor, without the padding at its end. The caller disposes it. Other ranks need not ask for it.
    /// </summary>
    public Tensor Whole(int slice)
    {
        AskFor(2 * _units.Length + slice);
        using Tensor own = _slices[slice]();
        using Tensor all = Gathered(own);
        return all.Rows(0, _units[slice % _units.Length].Length);
    }

    /// <summary>Replaces the norms of the parts of all ranks by that of the whole, and waits for it.</summary>
    /// <param name="norm">[1] F32.</param>
    public void AddNorms(Tensor norm)
    {
        double own = norm.ToArray()[0];
        Span<double> squares = [own * own];
        _ranks.Sum(squares);
        norm.CopyFrom([(float)Math.Sqrt(squares[0])]);
    }

    /// <summary>
    /// Queues sums over the ranks behind what is gathered ahead, while all ranks read the same units. They begin when
    /// the current stream is here, which goes on meanwhile.
    /// </summary>
    /// <param name="sum">Sums on the current stream, without <see cref="RankGroup.BeforeCall"/>.</param>
    public void SumAside(Action sum)
    {
        _begun.Record();
        using IDisposable side = _device.Use(_side);
        _side.Wait(_begun);
        sum();
        _summed.Record();
        _isSumming = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ranks.BeforeCall = null;
        foreach (ShardedUnit unit in _units)
            unit.Dispose();
        _side.Dispose();
        _begun.Dispose();
        _arrived.Dispose();
        _summed.Dispose();
    }

    /// <summary>Serves the other ranks until all are about to make a call that is for all.</summary>
    private void Wait()
    {
        Join();
        WaitForSums();
        if (_isTogether)
            return;
        Complete();
        while (_ranks.Agree(Nothing) is not Nothing and var request)
        {
            Close();
            Serve(request);
        }
    }

    /// <summary>Gathers the unit that every rank reads now, and the one that followed it last time.</summary>
    private void Advance(ShardedUnit unit)
    {
        int before = _before;
        if (_current is { } last)
        {
            _followers[(before, last.Number)] = unit;
            before = _before = last.Number;
        }

        Join();
        foreach (ShardedUnit other in _gathered.Where(other => other != unit).ToArray())
            Close(other);
        if (!unit.IsGathered)
        {
            WaitForSums();
            Gather(unit);
        }

        if (!_followers.TryGetValue((before, unit.Number), out ShardedUnit? next) || next.IsGathered)
            return;
        // Its memory may be that of a unit which kernels before this point still read.
        _begun.Record();
        Open(next);
        using (_device.Use(_side))
        {
            _side.Wait(_begun);
            next.Gather(_ranks);
            _arrived.Record();
        }

        _isUnderWay = true;
    }

    /// <summary>Gathers a unit that this rank reads now, and serves the others until it is its turn.</summary>
    private void Ask(ShardedUnit unit)
    {
        if (unit.IsGathered)
        {
            _gathered.Remove(unit);
            _gathered.Add(unit);
            return;
        }

        while (_gathered.Count >= AtOnce)
            Close(_gathered[0]);
        AskFor(unit.Number);
        Gather(unit);
    }

    /// <summary>Serves other ranks until they serve this request.</summary>
    private void AskFor(int request)
    {
        while (_ranks.Agree(request) is var served && served != request)
            Serve(served);
    }

    /// <summary>Takes part in what another rank needs, and keeps nothing of it.</summary>
    private void Serve(int request)
    {
        if (request < _units.Length)
        {
            foreach (Tensor own in _units[request].Owned)
            {
                using Tensor all = Gathered(own);
            }
        }
        else if (request < 2 * _units.Length)
        {
            ShardedUnit unit = _units[request - _units.Length];
            using var zeros = Tensor.Zeros(_device, checked(unit.Part * unit.Count));
            Add(unit, zeros);
        }
        else
        {
            using Tensor own = _slices[request - 2 * _units.Length]();
            using Tensor all = Gathered(own);
        }
    }

    private void Gather(ShardedUnit unit)
    {
        Open(unit);
        unit.Gather(_ranks);
    }

    private Tensor Gathered(Tensor own)
    {
        PeakBytes = Math.Max(PeakBytes, Bytes + own.Bytes * _ranks.Count);
        var all = Tensor.Empty(_device, checked((int)own.Count * _ranks.Count), own.DType);
        _ranks.Gather(own, all);
        return all;
    }

    private void Add(ShardedUnit unit, Tensor whole)
    {
        using var part = Tensor.Empty(_device, unit.Part);
        _ranks.SumToShares(whole, part);
        Tensor own = unit.OwnGradient()!;
        Kernels.Ops.Add.Forward(own, part, own);
    }

    private void Open(ShardedUnit unit)
    {
        unit.Open();
        _gathered.Add(unit);
        PeakBytes = Math.Max(PeakBytes, Bytes);
    }

    private void Close(ShardedUnit unit)
    {
        unit.Close();
        _gathered.Remove(unit);
        if (_current == unit)
            _current = null;
    }

    /// <summary>Frees all that is gathered.</summary>
    public void Close()
    {
        Join();
        foreach (ShardedUnit unit in _gathered.ToArray())
            Close(unit);
        _current = null;
    }

    /// <summary>
    /// Makes the current stream wait for what is under way on the other one: before it reads it, before the memory goes
    /// back to the pool, and before any other call between ranks, which have to be in one order on all of them.
    /// </summary>
    private void Join()
    {
        if (_isUnderWay)
            _device.Stream.Wait(_arrived);
        _isUnderWay = false;
    }

    /// <summary>
    /// Makes the current stream wait for sums on the other one, before a call between ranks: ranks whose streams are
    /// not in step would make the two in different orders.
    /// </summary>
    private void WaitForSums()
    {
        if (_isSumming)
            _device.Stream.Wait(_summed);
        _isSumming = false;
    }
}
