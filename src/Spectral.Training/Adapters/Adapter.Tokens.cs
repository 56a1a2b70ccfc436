using Spectral.Kernels;
using Spectral.Training.Adapters.Tokens;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <content>Follows the tokens of a batch, for methods whose change depends on them.</content>
public sealed partial class Adapter
{
    private TokenRows? _rowsOfBatch;
    private RouterLoads? _loads;
    private BalanceWeight _balance;
    private int _routers;

    /// <summary>Whether routers choose among parts of the adapter, whose load a run logs.</summary>
    internal bool HasRouters => _routers > 0;

    /// <summary>The choices of the routers since the last call of <see cref="CountRouters"/>; null: none.</summary>
    internal RouterReport? RouterReport => _loads is null ? null : RouterReport.Of([.. _loads.Read()]);

    /// <summary>Begins to count the choices of the adapter's routers anew.</summary>
    internal void CountRouters()
    {
        if (_routers == 0)
            return;
        _loads ??= new RouterLoads();
        _loads.Clear();
    }

    /// <inheritdoc/>
    void IModelAdapter.Begin(Batch batch, KeyValueCache? cache)
    {
        if (!Method.FollowsTokens)
            return;
        _rowsOfBatch?.Dispose();
        _rowsOfBatch = new TokenRows(_model.Device, batch, cache)
        {
            Routers = Math.Max(1, _routers),
            Balance = _balance,
            Loads = _loads,
        };
        _balance = default;
        foreach (PackedAdapters packed in _packed)
            packed.Rows = _rowsOfBatch;
    }

    /// <inheritdoc/>
    void IModelAdapter.Weigh(float factor, Tensor? scale) => _balance = new BalanceWeight(factor, scale);

    /// <inheritdoc/>
    void IModelAdapter.End()
    {
        if (_rowsOfBatch is not null)
            _rowsOfBatch.Loads = null;
    }

    /// <summary>Checks that all tokens pass through the adapted layers, in order.</summary>
    /// <exception cref="InputException">
    /// The method follows tokens, and a layer is outside the blocks or an expert of the model.
    /// </exception>
    private void RequireRows()
    {
        if (!Method.FollowsTokens)
            return;
        _routers = _modules.Count(module => module.Form.Change?.Router is not null);
        var blocks = _model.Linears.ToDictionary(linear => linear.Name);
        foreach (AdaptedModule module in _modules)
        {
            if (!blocks.TryGetValue(module.Shape.Name, out Linear? linear) || !linear.Siblings.ReadsAllTokens)
            {
                throw new InputException(
                    $"{module.Shape.Name}: {Method.Name} follows the tokens of a batch, expected targets that all "
                        + "tokens pass through, which are layers of the blocks and no experts"
                );
            }
        }
    }
}
