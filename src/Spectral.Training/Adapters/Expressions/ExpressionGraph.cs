namespace Spectral.Training.Adapters.Expressions;

/// <summary>All expressions behind some outputs, in the order in which they are computed.</summary>
internal sealed class ExpressionGraph
{
    private readonly List<Expression> _order = [];
    private readonly long _kept;

    /// <summary>Collects what the outputs are made of.</summary>
    /// <param name="outputs">The outputs.</param>
    /// <param name="kept">
    /// Elements up to which a value stays in memory between forward and backward. Larger ones, such as whole weights,
    /// are computed again where backward reads them: memory for them would be that of a second model.
    /// </param>
    public ExpressionGraph(IEnumerable<Expression> outputs, long kept)
    {
        _kept = kept;
        var seen = new HashSet<Expression>();
        foreach (Expression output in outputs)
            Visit(output);

        void Visit(Expression expression)
        {
            if (!seen.Add(expression))
                return;
            foreach (Expression input in expression.Inputs)
                Visit(input);
            _order.Add(expression);
        }
    }

    /// <summary>
    /// Has values that trainable factors are in, or all values, computed anew after factors have changed.
    /// </summary>
    public void Renew(bool all = false)
    {
        foreach (Expression expression in _order)
        {
            if (all || expression.Varies)
                expression.Renew();
        }
    }

    /// <summary>Carries the gradients of the outputs, already in their buffers, on to the factors.</summary>
    public void Backward()
    {
        for (int i = _order.Count - 1; i >= 0; i--)
            _order[i].Propagate();
        Trim();
    }

    /// <summary>Lets go of large values.</summary>
    public void Trim()
    {
        foreach (Expression expression in _order)
        {
            if (expression.Shape.Count > _kept)
                expression.Forget();
        }
    }

    /// <summary>Lets go of everything.</summary>
    public void Clear()
    {
        foreach (Expression expression in _order)
            expression.Release();
    }
}
